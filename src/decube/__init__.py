"""DeCube: a control plane in one process."""

"""To be told by its engineer."""

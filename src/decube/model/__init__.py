"""The resources as values: frozen, typed, Kubernetes-shaped, and the rules their fields follow.

Pure: no input or output, no clock, no store. A rule is a function that raises `Invalid` naming the
field; a resource that exists has passed its rules.
"""

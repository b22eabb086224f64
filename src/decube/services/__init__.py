"""The application: what each part of the API means, free of any transport.

One package a resource; siblings do not import each other.
"""

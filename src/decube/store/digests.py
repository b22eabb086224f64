"""The digests of an image and of the parts that it is kept in, made by the core in one pass."""

from decube._native import PartsDigest

__all__ = ["PartsDigest"]

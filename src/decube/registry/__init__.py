"""Typed objects over the store: create, get, list, update, delete and watch, once for every kind.

An object lives as JSON under `/decube/<resource>/<namespace>/<name>`. Its resource version is the
modification revision of that key; every write compares it, so that nobody's change is lost. Rows
that cannot be read are reported, never silently skipped.

Read `registry.py` first; `kind.py` says what a kind is, `codec.py` how a row becomes an object,
`listing.py` and `watching.py` how many of them are read.
"""

"""Follows the pages of a list; all of them show one revision."""

from dataclasses import dataclass, field
from typing import Any

from decube.cli.rest_client import RestClient

_PAGE_ITEMS = 500
_UNREADABLE_NAMES_MAX = 3


@dataclass
class Listing:
    """What a list has; `unreadable` more are there, and were left out by the node.

    `unreadable_names` are the first of them, as far as the node tells their names.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    unreadable: int = 0
    unreadable_names: list[str] = field(default_factory=list)


def listed(client: RestClient, path: str, query: dict[str, str], limit: int = 0) -> Listing:
    """Read what a list has, at most `limit` if that is not 0."""
    items = path.rpartition("/")[2]  # the answer names them as the route does
    listing = Listing()
    left = limit
    token = ""
    while True:
        page_size = min(left, _PAGE_ITEMS) if limit else _PAGE_ITEMS
        page_query = {**query, "limit": str(page_size)}
        page = client.call(
            "GET", path, query={**page_query, "continue": token} if token else page_query
        )
        listing.items += page[items]
        listing.unreadable += page.get("unreadable", 0)
        told = listing.unreadable_names
        told += page.get("unreadable_names", [])[: _UNREADABLE_NAMES_MAX - len(told)]
        left -= len(page[items])
        token = page.get("continue") or ""
        if not token or (limit and left <= 0):
            return listing

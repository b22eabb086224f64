"""Follows the pages of a list; all of them show one revision."""

from collections.abc import Iterator
from typing import Any

from decube.cli.rest_client import RestClient

_PAGE_ITEMS = 500


def listed(
    client: RestClient, path: str, query: dict[str, str], limit: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield what a list has, at most `limit` if that is not 0."""
    items = path.rpartition("/")[2]  # the answer names them as the route does
    left = limit
    token = ""
    while True:
        page_size = min(left, _PAGE_ITEMS) if limit else _PAGE_ITEMS
        page_query = {**query, "limit": str(page_size)}
        page = client.call(
            "GET", path, query={**page_query, "continue": token} if token else page_query
        )
        yield from page[items]
        left -= len(page[items])
        token = page.get("continue") or ""
        if not token or (limit and left <= 0):
            return

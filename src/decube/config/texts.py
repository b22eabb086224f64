"""What a setting that is text may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NODE_ID_LENGTH_MAX: Final = 253
"""As long as a host name may be: many a node is called after its host."""

_NODE_ID: Final = "node.id"


def check_texts(path: str, raw: object) -> None:
    """Refuse text that no answer, metric or peer could be told. Raises `ValueError`."""
    for text in _texts_in(raw):
        # Bytes of the command line or the environment that are no UTF-8 come as surrogates.
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ValueError("is not valid UTF-8")
        if path == _NODE_ID and not (len(text) <= NODE_ID_LENGTH_MAX and text.isprintable()):
            raise ValueError(
                f"is not a node's name: at most {NODE_ID_LENGTH_MAX} printable characters, "
                "like node-1"
            )


def _texts_in(raw: object) -> Iterable[str]:
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, list | tuple):
        for item in raw:
            yield from _texts_in(item)

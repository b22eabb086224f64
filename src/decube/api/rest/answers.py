"""Answers as ASGI applications: status, headers and a body that is bytes already.

Litestar's own responses look at types, cookies and encoders each time; a handler here has decided
all that when it returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

Header = tuple[bytes, bytes]
Headers = Iterable[Header]

JSON = (b"content-type", b"application/json")
NDJSON = (b"content-type", b"application/x-ndjson")
_encode = msgspec.json.Encoder().encode


class Answer:
    """A whole answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_answer(status: int, content: msgspec.Struct, *headers: Header) -> Answer:
    """Answer with a struct as JSON, as a whole line: a shell's prompt shall not stick to it."""
    return Answer(status, _encode(content) + b"\n", (JSON, *headers))

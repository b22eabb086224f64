"""The client of the REST API: JSON in, JSON out, errors as the kinds of `kit.errors`.

On `http.client`: a command line that runs for a moment feels the quarter of a second that importing
a larger HTTP library takes, and needs nothing of it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from decube.cli.client_tls import refused_handshake
from decube.cli.failures import HINTS_BY_REASON
from decube.kit.errors import (
    ANSWERS,
    Compacted,
    DecubeError,
    Internal,
    Invalid,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from decube.cli.client_tls import ClientTls

DEFAULT_ADDRESS: Final = "127.0.0.1:8080"
PODS: Final = "/api/v1/pods"
LEASES: Final = "/api/v1/leases"
SNAPSHOTS: Final = "/api/v1/snapshots"
_OK_BELOW: Final = 300
_HEALTH_STATUSES: Final = (200, 503)
_PIECE_BYTES: Final = 1 << 20
_KINDS: Final = {kind.code: kind for kind in ANSWERS}


class Upload(NamedTuple):
    """Bytes to be sent, and how many there are."""

    content: Iterable[bytes]
    size: int
    media_type: str


class RestClient:
    """Calls one node. Each request is a connection of its own; nothing is retried."""

    def __init__(self, address: str, timeout_s: float, tls: ClientTls | None = None) -> None:
        is_tls_meant = tls is not None and tls.is_given
        scheme = "https" if is_tls_meant else "http"
        parts = urlsplit(address if "://" in address else f"{scheme}://{address}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise Invalid(
                f'"{address}" is not an address: write it like http://{DEFAULT_ADDRESS}',
                field="address",
            )
        if parts.scheme == "http" and is_tls_meant:
            raise Invalid(
                f"certificates are of no use on {address}: write https://", field="address"
            )
        self.address = f"{parts.scheme}://{parts.netloc}"
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context() if tls is None else tls.context()
        self._host = parts.hostname
        self._port = port
        self._base = parts.path.rstrip("/")
        self._timeout_s = timeout_s

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:  # noqa: ANN401 - what JSON holds
        """Make a request and return the decoded answer; raises the kind of error it tells."""
        with self._answer(method, path, query, body, self._timeout_s) as answer:
            return _decoded(answer.read(), answer.status)

    def health(self, query: Mapping[str, str]) -> Any:  # noqa: ANN401 - what JSON holds
        """Return what the node tells of its health; that it is unhealthy is an answer as well."""
        with self._reply("GET", "/health", query, None) as (answer, _):
            text = answer.read()
            if answer.status not in _HEALTH_STATUSES:
                raise _error_of(answer.status, text)
            return _decoded(text, answer.status)

    @contextlib.contextmanager
    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Iterator[Any]]:
        """Open a stream of JSON lines; it ends, or raises `Unavailable`, when the server goes."""
        with self._answer("GET", path, query, None, None) as answer:
            yield self._lines(answer)

    def upload(self, path: str, upload: Upload) -> Any:  # noqa: ANN401 - what JSON holds
        """Send bytes of any length and return the decoded answer."""
        with self._answer("PUT", path, None, upload, self._timeout_s) as answer:
            return _decoded(answer.read(), answer.status)

    @contextlib.contextmanager
    def download(self, path: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open bytes of a length that is told; they raise `Unavailable` when fewer come."""
        with self._answer("GET", path, None, None, self._timeout_s) as answer:
            size = int(answer.headers.get("Content-Length", 0))
            yield size, self._pieces(answer, size)

    def _pieces(self, answer: http.client.HTTPResponse, size: int) -> Iterator[bytes]:
        try:
            while size and (piece := answer.read(min(size, _PIECE_BYTES))):
                size -= len(piece)
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the answer of {self.address} broke off: {_why(error)}") from error
        if size:
            raise Unavailable(f"the answer of {self.address} broke off, {size} bytes are missing")

    def _lines(self, answer: http.client.HTTPResponse) -> Iterator[Any]:
        try:
            for line in answer:
                if line.strip():
                    yield _decoded(line, answer.status)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the stream from {self.address} broke: {_why(error)}") from error

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        read_timeout_s: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Make a request; raises the error that is answered."""
        with self._reply(method, path, query, body) as (answer, connection):
            if answer.status >= _OK_BELOW:
                raise _error_of(answer.status, answer.read())
            if connection.sock is not None:
                connection.sock.settimeout(read_timeout_s)
            yield answer

    @contextlib.contextmanager
    def _reply(
        self, method: str, path: str, query: Mapping[str, str] | None, body: object
    ) -> Iterator[tuple[http.client.HTTPResponse, http.client.HTTPConnection]]:
        """Make a request; whatever is answered comes out, with its connection."""
        connection = self._connection()
        target = self._base + path + ("?" + urlencode(query) if query else "")
        try:
            try:
                _send(connection, method, target, body)
                answer = connection.getresponse()
            except ssl.SSLError as error:
                raise refused_handshake(self.address, error) from error
            except OSError as error:
                raise Unavailable(f"cannot reach {self.address}: {_why(error)}") from error
            except http.client.HTTPException as error:
                raise _no_node("with something that is not HTTP") from error
            yield answer, connection
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def _send(connection: http.client.HTTPConnection, method: str, target: str, body: object) -> None:
    """Send a request; `body` is what JSON holds, None for none, or an `Upload`."""
    if not isinstance(body, Upload):
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, target, body=content, headers=headers)
        return
    headers = {"Content-Type": body.media_type, "Content-Length": str(body.size)}
    # Who refuses it need not read it to its end: why is in the answer.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, target, body=body.content, headers=headers)


def _decoded(text: bytes, status: int) -> Any:  # noqa: ANN401 - what JSON holds
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _no_node(f"{status} with something that is not JSON") from error
    if isinstance(value, dict) and "error" in value and isinstance(value["error"], dict):
        raise _told(value["error"], status)
    return value


def _error_of(status: int, text: bytes) -> DecubeError:
    try:
        return _told(json.loads(text)["error"], status)
    except (ValueError, KeyError, TypeError):
        return _no_node(f"{status} {http.client.responses.get(status, '')}".rstrip())


def _no_node(answered: str) -> Unavailable:
    return Unavailable(
        f"the server answered {answered}",
        hint="is that the REST address of a DeCube node? --address or DECUBE_ADDRESS chooses it",
    )


def told_error(code: str, message: str) -> DecubeError:
    """Make the error of which the server told code and message, in what is no answer of its own."""
    return _told({"code": code, "message": message}, http.HTTPStatus.OK)


def _told(told: Mapping[str, Any], status: int) -> DecubeError:
    """Make the error that the server told."""
    message = str(told.get("message", f"the server answered {status}"))
    details = dict(told.get("details") or {})
    if told.get("code") == "tls_required":
        return Invalid(
            "the node speaks TLS",
            field="address",
            hint="name its CA by --cacert or DECUBE_CACERT, and https:// in --address if it is "
            "given",
        )
    kind = _KINDS.get(str(told.get("code")), Internal)
    if kind is Compacted:
        return Compacted(message, compact_revision=int(details.get("compact_revision", 0)))
    if kind is TooLarge:
        return TooLarge(message, limit_bytes=int(details.get("limit_bytes", 0)))
    error = kind(message)
    if kind is Unavailable and details.get("reason") not in HINTS_BY_REASON:
        details = {"hint": "the node is there, but cannot do it now: try again", **details}
    error.details = details
    return error


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or str(error) or type(error).__name__).lower()

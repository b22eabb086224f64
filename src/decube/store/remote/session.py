"""Who the store is to an etcd that asks: a user's token in every call, renewed before it is missed.

etcd forgets a token that was not used for minutes, and all of them when its users change. A unary
call that is refused for its token was not executed, so it is sent once more with a new one. A
stream cannot be, so it begins with a token that is new enough, and whoever lost a stream opens
another.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc.aio import Metadata

from decube.pb.etcd import rpc_pb2 as rpc
from decube.pb.etcd.rpc_pb2_grpc import AuthStub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpc.aio import ClientCallDetails

    from decube.kit.clock import Clock
    from decube.store.remote.options import Credentials

    Continue = Callable[..., Awaitable[Any]]

_AUTHENTICATE: Final = "/etcdserverpb.Auth/Authenticate"
_STALE: Final = (
    "etcdserver: invalid auth token",
    "etcdserver: revision of auth store is old",
)
# etcd's default life of an unused token is 300 s; where it is set shorter, streams are opened anew.
_STREAM_TOKEN_AGE_S_MAX: Final = 60.0


class Session:
    """The token at one endpoint. `open` on its channel before the first call."""

    def __init__(self, credentials: Credentials, timeout_s: float, clock: Clock) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._clock = clock
        self._renewing = asyncio.Lock()
        self._token = ""
        self._since_s = 0.0

    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """Return what a channel needs, so that its calls have the token."""
        return [_Unary(self), _UnaryStream(self), _Streams(self)]

    def open(self, channel: grpc.aio.Channel) -> None:
        """Authenticate through a channel from now on."""
        self._authenticate: Any = AuthStub(channel).Authenticate

    async def token(self, *, age_s_max: float | None = None, not_this: str = "") -> str:
        """Return a token of that age at most, and another than the one that was refused.

        Raises `AioRpcError` where etcd does not know the user.
        """
        async with self._renewing:
            too_old = age_s_max is not None and self._age_s() > age_s_max
            if not self._token or self._token == not_this or too_old:
                request = rpc.AuthenticateRequest(
                    name=self._credentials.username, password=self._credentials.password
                )
                began_s = self._clock.monotonic_s()
                answer = await self._authenticate(request, timeout=self._timeout_s)
                self._token, self._since_s = answer.token, began_s
            return self._token

    def forget(self) -> None:
        """Have the next call authenticate anew: this token may be why one failed."""
        self._token = ""

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._since_s


class _Unary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, session: Session) -> None:
        self._session = session

    async def intercept_unary_unary(
        self, continuation: Continue, client_call_details: ClientCallDetails, request: object
    ) -> Any:  # noqa: ANN401 - a call, of which grpcio has many kinds
        if client_call_details.method in (_AUTHENTICATE, _AUTHENTICATE.encode()):
            return await continuation(client_call_details, request)
        token = await self._session.token()
        call = await continuation(_with(client_call_details, token), request)
        if await call.code() is grpc.StatusCode.OK or await call.details() not in _STALE:
            return call
        token = await self._session.token(not_this=token)
        return await continuation(_with(client_call_details, token), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, session: Session) -> None:
        self._session = session

    async def intercept_unary_stream(
        self, continuation: Continue, client_call_details: ClientCallDetails, request: object
    ) -> Any:  # noqa: ANN401 - a call, of which grpcio has many kinds
        token = await self._session.token(age_s_max=_STREAM_TOKEN_AGE_S_MAX)
        return await continuation(_with(client_call_details, token), request)


class _Streams(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, session: Session) -> None:
        self._session = session

    async def intercept_stream_stream(
        self,
        continuation: Continue,
        client_call_details: ClientCallDetails,
        request_iterator: object,
    ) -> Any:  # noqa: ANN401
        token = await self._session.token(age_s_max=_STREAM_TOKEN_AGE_S_MAX)
        return await continuation(_with(client_call_details, token), request_iterator)


def _with(details: ClientCallDetails, token: str) -> ClientCallDetails:
    given = details.metadata or ()
    changed: ClientCallDetails = details._replace(  # type: ignore[attr-defined]  # it is a named tuple
        metadata=Metadata(*given, ("token", token))
    )
    return changed

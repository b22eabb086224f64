"""The channels to the endpoints of one cluster, of which one at a time is used.

A caller asks for an endpoint that is connected, and says when it failed; the next one then takes
over for everybody. No call is sent on a channel that is not connected, so that a write which could
not be sent is told from one whose fate is unknown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import grpc
from grpc import ChannelConnectivity

from decube.kit.backoff import Backoff
from decube.kit.errors import Closed, Invalid, Unavailable
from decube.pb.etcd.rpc_pb2_grpc import KVStub, LeaseStub, MaintenanceStub, WatchStub
from decube.store.remote.options import Endpoint
from decube.store.remote.session import Session
from decube.store.types import NOT_SENT

if TYPE_CHECKING:
    from pathlib import Path

    from decube.kit.clock import Clock
    from decube.pb.etcd.rpc_pb2_grpc import (
        KVAsyncStub,
        LeaseAsyncStub,
        MaintenanceAsyncStub,
        WatchAsyncStub,
    )
    from decube.store.remote.options import RemoteOptions, TlsOptions


class Member(NamedTuple):
    """A channel to one endpoint and what can be called on it."""

    endpoint: Endpoint
    channel: grpc.aio.Channel
    kv: KVAsyncStub
    watch: WatchAsyncStub
    lease: LeaseAsyncStub
    maintenance: MaintenanceAsyncStub
    session: Session | None


class Connection:
    """Hands out the endpoint to use. Made and closed by the store, on its event loop."""

    def __init__(self, options: RemoteOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._members = tuple(
            _member(Endpoint.parse(text), options, clock) for text in options.endpoints
        )
        self._current = 0
        self.closed = False

    async def connected(self, deadline_s: float) -> Member:
        """Return a connected endpoint; `Unavailable` when there is none.

        The deadline is how long that may take; see `RemoteOptions.patient` for who is told earlier.
        """
        backoff = Backoff(self._options.backoff, clock=self._clock)
        while True:
            if self.closed:
                raise Closed("the store is closed", reason=NOT_SENT)
            member = self._members[self._current]
            # The common case, without a task switch.
            if member.channel.get_state(try_to_connect=True) is ChannelConnectivity.READY:
                return member
            for _ in self._members:
                member = self._members[self._current]
                if await self._becomes_ready(member, deadline_s):
                    return member
                self.leave(member)
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0 or not self._options.patient:
                raise Unavailable(
                    f"no endpoint answers: {', '.join(self._options.endpoints)}", reason=NOT_SENT
                )
            await self._clock.sleep(min(backoff.next_delay_s(), left_s))

    def leave(self, member: Member) -> None:
        """Have the next endpoint take over, unless that happened already."""
        if member.session is not None:
            member.session.forget()
        if self._members[self._current] is member:
            self._current = (self._current + 1) % len(self._members)

    async def close(self) -> None:
        """Close the channels; calls under way are cancelled."""
        self.closed = True
        for member in self._members:
            await member.channel.close(None)

    async def _becomes_ready(self, member: Member, deadline_s: float) -> bool:
        """Wait until the endpoint is connected, or has failed, or took too long."""
        left_s = max(0.0, deadline_s - self._clock.monotonic_s())
        try:
            async with asyncio.timeout(min(left_s, self._options.connect_timeout_s)):
                while not self.closed:
                    state = member.channel.get_state(try_to_connect=True)
                    if state is ChannelConnectivity.READY:
                        return True
                    if state is ChannelConnectivity.TRANSIENT_FAILURE:
                        return False
                    await member.channel.wait_for_state_change(state)
        except TimeoutError:
            pass
        return False


def _member(endpoint: Endpoint, options: RemoteOptions, clock: Clock) -> Member:
    arguments = _channel_arguments(options)
    session, interceptors = None, None
    if options.credentials is not None:
        session = Session(options.credentials, options.request_timeout_s, clock)
        interceptors = session.interceptors()
    if endpoint.tls or options.tls is not None:
        credentials = _credentials(options.tls)
        channel = grpc.aio.secure_channel(
            endpoint.target, credentials, options=arguments, interceptors=interceptors
        )
    else:
        channel = grpc.aio.insecure_channel(
            endpoint.target, options=arguments, interceptors=interceptors
        )
    if session is not None:
        session.open(channel)
    return Member(
        endpoint,
        channel,
        KVStub(channel),
        WatchStub(channel),
        LeaseStub(channel),
        MaintenanceStub(channel),
        session,
    )


def _channel_arguments(options: RemoteOptions) -> list[tuple[str, int | str]]:
    arguments: list[tuple[str, int | str]] = [
        # Requests are bounded before they are sent, answers by the server (etcd: 2 GiB).
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", round(options.keep_alive_interval_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(options.keep_alive_timeout_s * 1000)),
        ("grpc.initial_reconnect_backoff_ms", round(options.backoff.initial_s * 1000)),
        ("grpc.min_reconnect_backoff_ms", round(options.connect_timeout_s * 1000)),
        ("grpc.max_reconnect_backoff_ms", round(options.backoff.max_s * 1000)),
        # Two stores in one process share nothing, so that closing one is final.
        ("grpc.use_local_subchannel_pool", 1),
        # An HTTP proxy in the environment is for the web, not for the store.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if options.tls is not None and options.tls.server_name is not None:
        arguments.append(("grpc.ssl_target_name_override", options.tls.server_name))
    return arguments


def _credentials(tls: TlsOptions | None) -> grpc.ChannelCredentials:
    if tls is None:
        return grpc.ssl_channel_credentials()
    return grpc.ssl_channel_credentials(
        root_certificates=_read("ca_file", tls.ca_file),
        private_key=_read("key_file", tls.key_file),
        certificate_chain=_read("cert_file", tls.cert_file),
    )


def _read(field: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"cannot read {field} {path}: {error.strerror}", field=field) from error

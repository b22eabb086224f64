"""Which etcd endpoints `decube kv` calls, and the store behind them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from cyclopts import Parameter

from decube.cli.client_tls import ClientTls, refused_handshake
from decube.cli.failures import HINTS_BY_REASON
from decube.cli.options import TIMEOUT_DEFAULT, Address, Timeout
from decube.cli.rest_client import DEFAULT_ADDRESS, RestClient
from decube.kit.errors import Invalid, Unavailable, system_reason
from decube.store.types import NOT_SENT, LeaseId

if TYPE_CHECKING:
    from decube.store.remote import RemoteStore

Result = TypeVar("Result")

_LEASE_DIGITS: Final = re.compile(r"[0-9a-fA-F]{1,16}", re.ASCII)
_PROBE_S_MAX: Final = 2.0
_OVER_TLS: Final = "one with TLS is https://HOST:PORT, and --cacert names its CA"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EtcdTarget(ClientTls):
    """The endpoints: as given, or what the node at `address` says of itself."""

    endpoints: Annotated[
        str,
        Parameter(
            env_var="DECUBE_ENDPOINTS",
            help="etcd endpoints, by commas; by default those of the node at --address.",
            group="Connection",
        ),
    ] = ""
    address: Address = DEFAULT_ADDRESS
    timeout: Annotated[Timeout, Parameter(group="Connection")] = TIMEOUT_DEFAULT

    def resolved(self) -> tuple[str, ...]:
        """Return the endpoints; asks the node when none are given."""
        given = tuple(part.strip() for part in self.endpoints.split(",") if part.strip())
        if given:
            return given
        try:
            info = RestClient(self.address, self.timeout.seconds, self).call("GET", "/node/info")
        except Unavailable as error:
            # What it is about, a certificate or another server, says more than this guess.
            guess = "is the node up? name it by --address, or the endpoints by --endpoints"
            raise Unavailable(
                f"cannot ask {self.address} for its etcd endpoints: {error.message}",
                hint=error.details.get("hint") or guess,
            ) from error
        told = info.get("etcd_address") or ""
        if not told:
            raise Invalid(
                f"the node at {self.address} tells no etcd address",
                field="endpoints",
                hint="name the endpoints by --endpoints or DECUBE_ENDPOINTS",
            )
        return tuple(part.strip() for part in str(told).split(","))


async def with_store(
    target: EtcdTarget,
    act: Callable[[RemoteStore], Awaitable[Result]],
    *,
    chosen_by: str = "--endpoints or DECUBE_ENDPOINTS",
    patient: bool = False,
) -> Result:
    """Do something with the store behind the endpoints, which `chosen_by` names.

    With `patient` endpoints that cannot be reached are tried again until the timeout.
    """
    from decube.store.remote import RemoteOptions, RemoteStore, TlsOptions
    from decube.store.remote.errors import NO_LEADER

    tls = None
    if target.is_given:
        tls = TlsOptions(ca_file=target.cacert, cert_file=target.cert, key_file=target.key_file)
    endpoints, timeout_s = target.resolved(), target.timeout.seconds
    options = RemoteOptions(
        endpoints=endpoints,
        tls=tls,
        request_timeout_s=timeout_s,
        patient=patient,
        # Who refuses is told at once; who is silent has all the time there is.
        connect_timeout_s=timeout_s / len(endpoints),
    )
    store = RemoteStore(options)
    try:
        return await act(store)
    except Unavailable as error:
        if error.details.get("reason") == NO_LEADER:
            raise _no_primary(endpoints, chosen_by) from error
        hint = f"does an etcd API listen there? {chosen_by} chooses others; {_OVER_TLS}"
        if error.details.get("reason") == NOT_SENT:
            await asyncio.to_thread(_say_why, endpoints[0], target, hint)
        if error.details.get("reason") not in HINTS_BY_REASON:
            error.details = {"hint": hint, **error.details}
        raise
    finally:
        await store.close()


def _no_primary(endpoints: Sequence[str], chosen_by: str) -> Unavailable:
    return Unavailable(
        f"no primary is reachable from {', '.join(endpoints)}: the store has no leader",
        hint=f"`decube replication status` tells who is what; {chosen_by} chooses another node",
    )


def _say_why(endpoint: str, target: EtcdTarget, hint: str) -> None:
    """Raise `Unavailable` with the reason why an endpoint takes no connection; gRPC tells none."""
    from decube.store.remote.options import Endpoint

    known = Endpoint.parse(endpoint)
    host, _, port = known.target.rpartition(":")
    address = (host.strip("[]"), int(port))
    wait_s = min(target.timeout.seconds, _PROBE_S_MAX)
    try:
        with socket.create_connection(address, wait_s) as plain:
            if known.tls or target.is_given:
                context = target.context()
                context.set_alpn_protocols(["h2"])
                with context.wrap_socket(plain, server_hostname=address[0]) as connection:
                    connection.recv(1)  # in TLS 1.3 a refusal of the client comes behind it
    except ssl.SSLError as error:
        raise refused_handshake(known.target, error) from error
    except TimeoutError:
        return
    except OSError as error:
        reason = system_reason(error)
        raise Unavailable(f"cannot reach {known.target}: {reason}", hint=hint) from error


def lease_id(text: str) -> LeaseId:
    """Read a lease's identity: hexadecimal, as etcdctl shows it; `lease-` before it is fine."""
    digits = text.removeprefix("lease-")
    if not _LEASE_DIGITS.fullmatch(digits):
        raise Invalid(
            f'"{text}" is not a lease: write its hexadecimal digits, 16 at most', field="lease"
        )
    value = int(digits, 16)
    # etcd's identities are int64; those with the top bit set are shown as two's complement.
    return LeaseId(value - (1 << 64) if value >= 1 << 63 else value)

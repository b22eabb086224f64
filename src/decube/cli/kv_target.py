"""Which etcd endpoints `decube kv` calls, and the store behind them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from cyclopts import Parameter

from decube.cli.client_tls import ClientTls
from decube.cli.options import TIMEOUT_DEFAULT, Address, Timeout
from decube.cli.rest_client import DEFAULT_ADDRESS, RestClient
from decube.kit.errors import Invalid, Unavailable
from decube.store.protocol import Store
from decube.store.types import LeaseId

Result = TypeVar("Result")

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
            raise Unavailable(
                f"cannot ask {self.address} for its etcd endpoints: {error.message}",
                hint="is the node up? name it by --address, or the endpoints by --endpoints",
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
    act: Callable[[Store], Awaitable[Result]],
    *,
    chosen_by: str = "--endpoints or DECUBE_ENDPOINTS",
) -> Result:
    """Do something with the store behind the endpoints, which `chosen_by` names."""
    from decube.store.remote import RemoteOptions, RemoteStore, TlsOptions

    tls = None
    if target.is_given:
        tls = TlsOptions(ca_file=target.cacert, cert_file=target.cert, key_file=target.key_file)
    store = RemoteStore(
        RemoteOptions(
            endpoints=target.resolved(), tls=tls, request_timeout_s=target.timeout.seconds
        )
    )
    try:
        return await act(store)
    except Unavailable as error:
        hint = f"does an etcd API listen there? {chosen_by} chooses others; {_OVER_TLS}"
        error.details = {"hint": hint, **error.details}
        raise
    finally:
        await store.close()


def lease_id(text: str) -> LeaseId:
    """Read a lease's identity: hexadecimal, as etcdctl shows it; `lease-` before it is fine."""
    try:
        value = int(text.removeprefix("lease-"), 16)
    except ValueError as error:
        raise Invalid(
            f'"{text}" is not a lease: write its hexadecimal digits', field="lease"
        ) from error
    # etcd's identities are int64; those with the top bit set are shown as two's complement.
    return LeaseId(value - (1 << 64) if value >= 1 << 63 else value)

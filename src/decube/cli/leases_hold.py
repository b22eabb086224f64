"""Holds a lease by its name: acquires it, and renews it on a thread until it is lost or given up.

How long it is safe is counted on this machine's monotonic clock, from before the request that the
server answered: the server counts from later, so its lease never ends first.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from decube.cli.failures import tell
from decube.cli.rest_client import LEASES, RestClient
from decube.kit.backoff import Backoff, BackoffPolicy
from decube.kit.clock import SystemClock
from decube.kit.errors import AlreadyExists, DecubeError, NotFound, Unavailable

_RENEWALS_A_TTL = 3
# How much of the TTL may pass since the last renewal: then two renewals in a row have failed, and
# what is left is the time to stop whoever relies on the lease.
_SAFE_SHARE = 2 / 3
_RETRY_SHARE = 1 / 30
_CLOCK = SystemClock()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The lease to acquire. The holder is this process's alone: it may take its lease up again."""

    name: str
    holder: str
    ttl_s: int


def acquire(client: RestClient, wanted: Wanted, *, wait_s: float | None) -> tuple[Any, float]:
    """Grant the lease, waiting at most `wait_s` (None: for ever) while another holds the name.

    Returns the lease and the moment from which its time counts. Raises `AlreadyExists` when the
    time is up, and `Unavailable` if the server does not answer at first.
    """
    body = {"name": wanted.name, "holder": wanted.holder, "ttl_seconds": wanted.ttl_s}
    began_s = _CLOCK.monotonic_s()
    backoff = Backoff(BackoffPolicy(max_s=1.0))
    waiting_for = ""
    while True:
        asked_s = _CLOCK.monotonic_s()
        try:
            return client.call("POST", LEASES, body=body)["lease"], asked_s
        except AlreadyExists as error:
            failure: DecubeError = error
        except Unavailable as error:
            if not waiting_for:
                raise
            failure = error
        delay_s = backoff.next_delay_s()
        if wait_s is not None and _CLOCK.monotonic_s() + delay_s > began_s + wait_s:
            raise failure
        holder = str(failure.details.get("holder", ""))
        if holder and holder != waiting_for:
            waiting_for = holder
            tell(f"{failure.message}: waiting")
        threading.Event().wait(delay_s)


class Holding:
    """A lease that is renewed until `release`. `lost` is called, once, from the renewing thread."""

    def __init__(
        self,
        client: RestClient,
        lease: dict[str, Any],
        asked_s: float,
        lost: Callable[[str], None],
    ) -> None:
        self._client = client
        self._path = f"{LEASES}/{lease['id']}"
        self._ttl_s: int = lease["ttl_seconds"]
        self._renewed_s = asked_s
        self._lost = lost
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="renew-lease", daemon=True)
        self.trouble = ""

    @property
    def ttl_s(self) -> int:
        """Its TTL, which the store may have raised."""
        return self._ttl_s

    def start(self) -> None:
        """Renew it from now on."""
        self._thread.start()

    def safe_for_s(self) -> float:
        """Tell for how long it is held as far as this process can know; not positive: it is not."""
        return self._renewed_s + self._ttl_s * _SAFE_SHARE - _CLOCK.monotonic_s()

    def release(self) -> None:
        """Renew it no more, and let others have it."""
        self._released.set()
        try:
            self._client.call("DELETE", self._path)
        except DecubeError as error:
            tell(f"cannot release the lease, which will run out: {error.message}")

    def _renew(self) -> None:
        delay_s = self._ttl_s / _RENEWALS_A_TTL
        while not self._released.wait(delay_s):
            asked_s = _CLOCK.monotonic_s()
            try:
                self._client.call("POST", f"{self._path}/renew")
            except NotFound as error:
                if not self._released.is_set():
                    has_name = error.details.get("reason") != "name_lost"
                    self._lost("it has ended" if has_name else "its name was taken from it")
                return
            except DecubeError as error:
                self.trouble = error.message
                delay_s = max(0.1, self._ttl_s * _RETRY_SHARE)
            else:
                self._renewed_s = asked_s
                delay_s = self._ttl_s / _RENEWALS_A_TTL

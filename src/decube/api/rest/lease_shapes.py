"""The bodies of requests and answers about leases."""

from __future__ import annotations

from typing import Literal

import msgspec

from decube.model.lease import TTL_S_DEFAULT, LeaseView


class LeaseCreation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lease to grant. `ttl_seconds` 0 is the default. A `name` is one holder's at a time."""

    holder: str = ""
    ttl_seconds: int = TTL_S_DEFAULT
    metadata: dict[str, str] = {}
    name: str = ""


class LeaseRenewal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the lease runs from now on; 0 is as long as before."""

    ttl_seconds: int = 0


class LeaseGranted(msgspec.Struct, frozen=True):
    """A lease as it was granted or renewed."""

    lease: LeaseView
    success: Literal[True] = True


class LeaseFound(msgspec.Struct, frozen=True):
    """A lease that was asked for."""

    lease: LeaseView
    found: Literal[True] = True


class LeaseList(msgspec.Struct, frozen=True):
    """A page of leases, as they were at `resource_version`, but for those that ended since.

    `count` is that of this page. `continue` is the token of the next page, "" on the last one.
    `unreadable` rows of the store were left out; `unreadable_names` are the first of them.
    """

    leases: list[LeaseView]
    count: int
    resource_version: str
    continue_token: str = msgspec.field(name="continue", default="")
    unreadable: int = 0
    unreadable_names: tuple[str, ...] = ()

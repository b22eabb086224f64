"""Addresses as bound and as told, and what is said when one cannot be had."""

from __future__ import annotations

import socket

import pytest

from decube.daemon.addresses import advertised, cannot_listen, check_free, resolved
from decube.daemon.exits import ExitCode
from decube.kit.addresses import Address

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there


def test_an_address_of_one_interface_is_told_as_it_is() -> None:
    assert advertised(Address("127.0.0.1", 1), "") == Address("127.0.0.1", 1)


def test_one_on_all_interfaces_is_told_by_an_address_that_can_be_called() -> None:
    told = advertised(Address(EVERYWHERE, 1), "")
    assert not told.is_any
    assert told.port == 1


def test_the_configured_host_wins() -> None:
    assert advertised(Address(EVERYWHERE, 1), "node-1") == Address("node-1", 1)


async def test_names_are_resolved() -> None:
    assert await resolved(Address("localhost", 7)) == Address("127.0.0.1", 7)
    assert await resolved(Address("::1", 7)) == Address("::1", 7)


async def test_a_taken_port_is_noticed_and_told_with_its_key() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = Address(*other.getsockname())
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is looked at below
            await check_free(address)
    failure = cannot_listen("gRPC", "api.grpc.address", address, caught.value)
    assert failure.exit_code == ExitCode.ADDRESS_IN_USE
    assert failure.message == f"the gRPC API cannot listen on {address}: the port is taken"
    hint = str(failure.details["hint"])
    assert "api.grpc.address" in hint
    assert "ss -tanp" in hint, "the port may also be that of an outgoing connection"


async def test_an_address_of_another_machine_is_told_apart() -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is looked at below
        await check_free(Address("192.0.2.1", 0))
    failure = cannot_listen("REST", "api.rest.address", Address("192.0.2.1", 0), caught.value)
    assert failure.exit_code == ExitCode.CANNOT_LISTEN
    assert "cannot assign requested address" in failure.message


async def test_port_0_is_always_free() -> None:
    await check_free(Address("127.0.0.1", 0))

"""A user of etcdctl, old or new, sees the same from DeCube as from a real etcd.

Each script is typed at both servers; what is printed and the exit code must be equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conformance.etcdctl.scripts import SCRIPTS
from tests.conformance.etcdctl.typist import Typist
from tests.support.peers import etcdctl_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("version", ["3.7.1", "3.4.23"])
@pytest.mark.parametrize("situation", SCRIPTS)
def test_etcdctl_sees_the_same_as_from_a_real_etcd(
    situation: str,
    version: str,
    fresh_etcd: Callable[[], str],
    fresh_decube: Callable[[], str],
) -> None:
    program = etcdctl_of(version)
    real, ours = Typist(program, fresh_etcd()), Typist(program, fresh_decube())
    for command in SCRIPTS[situation]:
        assert ours.types(command) == real.types(command)


@pytest.mark.parametrize("version", ["3.7.1", "3.4.23"])
def test_etcdctl_tells_members_and_status(version: str, fresh_decube: Callable[[], str]) -> None:
    endpoint = fresh_decube()
    typist = Typist(etcdctl_of(version), endpoint)
    members = typist.prints(["member", "list"])
    assert f"http://{endpoint}" in members
    assert ", started, " in members
    status = typist.prints(["endpoint", "status"])
    assert status.startswith(f"{endpoint}, ")
    assert ", 3.7.1, " in status
    assert ", true, false, " in status, "a single node leads and is no learner"

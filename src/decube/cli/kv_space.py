"""`decube kv compact` and `decube kv alarm`: what makes room in a store that has none left.

At its quota a store raises the alarm NOSPACE, and refuses what needs room until there is some and
somebody ended the alarm.
"""

import asyncio
from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.arguments import COUNT
from decube.cli.kv_output import KvOutput
from decube.cli.kv_target import EtcdTarget, with_store
from decube.cli.output import print_line, print_object
from decube.store.remote import RemoteStore
from decube.store.types import Alarm, Revision

alarm_app = App(name="alarm", help="What the store raised until it is ended.", version_flags=[])


def compact(
    revision: Annotated[
        int | None, COUNT, Parameter(help="Drop what is older; by default than the present one.")
    ] = None,
    /,
    *,
    physical: Annotated[
        bool, Parameter(negative=(), help="Wait until nothing is left of it.")
    ] = False,
    target: EtcdTarget = EtcdTarget(),
) -> None:
    """Drop the history before a revision: versions of keys that were replaced or deleted since.

    Reads at an older revision are then refused, and watches from one (exit code 6).

    For example:

        decube kv compact 1000
        decube kv compact --physical
    """

    async def drop(store: RemoteStore) -> Revision:
        known = (await store.status()).revision if revision is None else Revision(revision)
        await store.compact(known, physical=physical)
        return known

    print_line(f"compacted revision {asyncio.run(with_store(target, drop))}")


@alarm_app.command(name="list")
def list_alarms(*, target: EtcdTarget = EtcdTarget(), output: KvOutput = "simple") -> None:
    """List the alarms that are raised: NOSPACE, while what needs room is refused.

    For example:

        decube kv alarm list
    """
    _print(asyncio.run(with_store(target, lambda store: store.alarms())), output)


@alarm_app.command
def disarm(*, target: EtcdTarget = EtcdTarget(), output: KvOutput = "simple") -> None:
    """End all alarms; prints those that were raised. Make room first, or they are raised again.

    For example:

        decube kv del --prefix /old/
        decube kv compact --physical
        decube kv alarm disarm
    """

    async def end_all(store: RemoteStore) -> tuple[Alarm, ...]:
        raised = await store.alarms()
        for alarm in raised:
            await store.disarm(alarm)
        return raised

    _print(asyncio.run(with_store(target, end_all)), output)


def _print(alarms: tuple[Alarm, ...], output: KvOutput) -> None:
    told = [{"member": f"{alarm.member_id:x}", "alarm": alarm.name} for alarm in alarms]
    if output == "simple":
        for one in told:
            print_line(f"member {one['member']} alarm {one['alarm']}")
    else:
        print_object({"alarms": told}, output)

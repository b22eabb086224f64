"""`decube kv lease`: the store's own leases, as etcdctl shows them."""

import asyncio
from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.kv_output import KvOutput
from decube.cli.kv_target import EtcdTarget, lease_id, with_store
from decube.cli.output import print_line, print_object
from decube.cli.ttl import ttl_seconds
from decube.store.protocol import Store
from decube.store.types import LeaseId, lease_text

app = App(name="lease", help="Leases of the store: keys that end with them.", version_flags=[])

_KEEP_ALIVES_A_TTL = 3


@app.command
def grant(
    ttl: Annotated[str, Parameter(help="Seconds, or a duration like 5m.")],
    /,
    *,
    target: EtcdTarget = EtcdTarget(),
    output: KvOutput = "simple",
) -> None:
    """Make a lease; prints its identity and the TTL it was given.

    For example:

        decube kv lease grant 60
    """
    ttl_s = ttl_seconds(ttl)
    granted = asyncio.run(with_store(target, lambda store: store.lease_grant(ttl_s)))
    if output == "simple":
        print_line(f"lease {lease_text(granted.id)} granted with TTL({granted.ttl_s}s)")
    else:
        print_object({"lease": lease_text(granted.id), "ttl_s": granted.ttl_s}, output)


@app.command
def revoke(lease: str, /, *, target: EtcdTarget = EtcdTarget()) -> None:
    """End a lease and delete its keys.

    For example:

        decube kv lease revoke 694d9b2f6a1c3e07
    """
    known = lease_id(lease)
    asyncio.run(with_store(target, lambda store: store.lease_revoke(known)))
    print_line(f"lease {lease_text(known)} revoked")


@app.command(name="keep-alive")
def keep_alive(
    lease: str,
    /,
    *,
    once: Annotated[bool, Parameter(negative=(), help="Renew it once and end.")] = False,
    target: EtcdTarget = EtcdTarget(),
) -> None:
    """Renew a lease again and again, until Ctrl-C or until it is gone.

    For example:

        decube kv lease keep-alive 694d9b2f6a1c3e07
    """
    known = lease_id(lease)

    async def renew(store: Store) -> None:
        while True:
            ttl_s = await store.lease_keep_alive(known)
            print_line(f"lease {lease_text(known)} keepalived with TTL({ttl_s})")
            if once:
                return
            await asyncio.sleep(ttl_s / _KEEP_ALIVES_A_TTL)

    asyncio.run(with_store(target, renew))


@app.command(name="list")
def list_leases(
    *,
    target: EtcdTarget = EtcdTarget(),
    output: KvOutput = "simple",
) -> None:
    """List all live leases.

    For example:

        decube kv lease list -o json
    """
    found = asyncio.run(with_store(target, lambda store: store.leases()))
    if output == "simple":
        for one in found:
            print_line(lease_text(one))
    else:
        print_object({"leases": [lease_text(one) for one in found]}, output)


@app.command
def ttl(
    lease: str,
    /,
    *,
    keys: Annotated[bool, Parameter(negative=(), help="Also list the keys attached.")] = False,
    target: EtcdTarget = EtcdTarget(),
    output: KvOutput = "simple",
) -> None:
    """Tell how long a lease has left.

    For example:

        decube kv lease ttl 694d9b2f6a1c3e07 --keys
    """
    known: LeaseId = lease_id(lease)
    found = asyncio.run(with_store(target, lambda store: store.lease_status(known, with_keys=keys)))
    attached = [key.decode(errors="backslashreplace") for key in found.keys]
    if output == "simple":
        text = f"lease {lease_text(known)} granted with TTL({found.granted_ttl_s}s)"
        text += f", remaining({found.remaining_ttl_s}s)"
        print_line(text + (f", attached keys({' '.join(attached)})" if keys else ""))
        return
    told = {
        "lease": lease_text(known),
        "granted_ttl_s": found.granted_ttl_s,
        "remaining_ttl_s": found.remaining_ttl_s,
    }
    print_object({**told, "keys": attached} if keys else told, output)

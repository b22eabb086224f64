"""`decube kv`: the store itself, by the etcd API, as etcdctl shows it.

Keys and values are bytes. In JSON they stand as text, and as `key_base64`, `value_base64` where
they are not UTF-8.
"""

import asyncio
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from decube.cli.arguments import BYTES, COUNT, shown
from decube.cli.kv_lease import app as lease_app
from decube.cli.kv_output import (
    KvOutput,
    PrintKvOutput,
    as_object,
    print_event_head,
    print_events,
    print_pairs,
)
from decube.cli.kv_range import Escaped, FromKey, Prefix, key_range
from decube.cli.kv_space import alarm_app, compact
from decube.cli.kv_target import EtcdTarget, lease_id, with_store
from decube.cli.output import print_line, print_object
from decube.kit.errors import Compacted, NotFound
from decube.store.protocol import Store
from decube.store.types import (
    NO_LEASE,
    Delete,
    DeleteResult,
    KeyRange,
    KeyValue,
    Operation,
    Put,
    PutResult,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
    WatchRequest,
)

app = App(name="kv", help="Read and write the store by the etcd API.", version_flags=[])
app.command(lease_app)
app.command(compact)
app.command(alarm_app)

Key = Annotated[bytes, BYTES]
PrevKv = Annotated[bool, Parameter(negative=(), help="Show also what was there before.")]
Rev = Annotated[int, COUNT, Parameter(help="A revision of the store.")]
_PAGE_KEYS = 1000
_WATCH_ANEW = (
    "what happened meanwhile is not told any more: read it anew by `decube kv get -o json`, and "
    "watch with --rev from the revision behind the one that it tells"
)


@app.command
def put(
    key: Key,
    value: Annotated[bytes | None, BYTES, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    lease: Annotated[str, Parameter(help="Attach this lease (hexadecimal).")] = "",
    prev_kv: PrevKv = False,
    target: EtcdTarget = EtcdTarget(),
    output: KvOutput = "simple",
) -> None:
    """Write a key. Without a value it is read from standard input.

    For example:

        decube kv put greeting hello
        decube kv put config < config.json
    """
    content = sys.stdin.buffer.read() if value is None else value
    attached = lease_id(lease) if lease else NO_LEASE
    operation = Put(key, content, attached, prev_kv=prev_kv)
    result = _execute(target, operation)
    if not isinstance(result, PutResult):
        raise TypeError(result)
    if output in ("json", "yaml"):
        previous = as_object(result.previous) if result.previous else None
        print_object({"revision": result.revision, "previous": previous}, output)
        return
    print_line("OK")
    if result.previous:
        print_pairs([result.previous], output)


@app.command
def get(
    key: Key,
    end: Annotated[
        bytes, BYTES, Parameter(help="Read the keys up to this one, not included.")
    ] = b"",
    /,
    *,
    prefix: Prefix = False,
    from_key: FromKey = False,
    escaped: Escaped = False,
    rev: Rev = 0,
    limit: Annotated[int, COUNT, Parameter(help="Print at most that many; 0 prints all.")] = 0,
    keys_only: Annotated[
        bool, Parameter(negative=(), help="Leave the values out; a key a line.")
    ] = False,
    count_only: Annotated[
        bool, Parameter(negative=(), help="Print only how many there are.")
    ] = False,
    target: EtcdTarget = EtcdTarget(),
    output: PrintKvOutput = "simple",
) -> None:
    """Read a key, or a range of keys. Exit code 3 when a single key is absent.

    For example:

        decube kv get greeting
        decube kv get --prefix /decube/ --keys-only
        decube kv get greeting --rev 5 -o json
    """
    keys = key_range(key, end, prefix=prefix, from_key=from_key, escaped=escaped)
    first = RangeRequest(
        range=keys,
        limit=min(limit, _PAGE_KEYS) if limit else _PAGE_KEYS,
        revision=Revision(rev),
        keys_only=keys_only,
        count_only=count_only,
    )
    result = asyncio.run(with_store(target, lambda store: _read_all(store, first, limit)))
    if count_only:
        print_line(str(result.count))
        return
    if not result.kvs and not keys.end:
        raise NotFound(
            f"there is no key {shown(key)}", hint="--prefix reads all keys that start with it"
        )
    print_pairs(result.kvs, output, keys_only=keys_only, revision=result.revision)


@app.command(name="del")
def delete(
    key: Key,
    end: Annotated[
        bytes, BYTES, Parameter(help="Delete the keys up to this one, not included.")
    ] = b"",
    /,
    *,
    prefix: Prefix = False,
    from_key: FromKey = False,
    escaped: Escaped = False,
    prev_kv: PrevKv = False,
    target: EtcdTarget = EtcdTarget(),
    output: KvOutput = "simple",
) -> None:
    r"""Delete a key, or a range of keys, in one revision; prints how many there were.

    For example:

        decube kv del greeting
        decube kv del --prefix jobs/
        decube kv del --escaped '/decube/pods/default/\xff'
    """
    keys = key_range(key, end, prefix=prefix, from_key=from_key, escaped=escaped)
    result = _execute(target, Delete(keys, prev_kv=prev_kv))
    if not isinstance(result, DeleteResult):
        raise TypeError(result)
    if output in ("json", "yaml"):
        previous = [as_object(kv) for kv in result.previous]
        told = {"revision": result.revision, "deleted": result.deleted, "previous": previous}
        print_object(told, output)
        return
    print_line(str(result.deleted))
    print_pairs(result.previous, output)


@app.command
def watch(
    key: Key,
    end: Annotated[
        bytes, BYTES, Parameter(help="Watch the keys up to this one, not included.")
    ] = b"",
    /,
    *,
    prefix: Prefix = False,
    from_key: FromKey = False,
    escaped: Escaped = False,
    rev: Annotated[int, COUNT, Parameter(help="Start with the changes of this revision.")] = 0,
    prev_kv: PrevKv = False,
    target: EtcdTarget = EtcdTarget(),
    output: PrintKvOutput = "simple",
) -> None:
    """Print changes as they happen, until Ctrl-C. Connections that break are taken up again.

    For example:

        decube kv watch greeting
        decube kv watch --prefix /decube/pods/ -o json
    """
    request = WatchRequest(
        range=key_range(key, end, prefix=prefix, from_key=from_key, escaped=escaped),
        start_revision=Revision(rev),
        prev_kv=prev_kv,
    )

    async def follow(store: Store) -> None:
        async with store.watch(request) as batches:
            print_event_head(output)
            async for batch in batches:
                print_events(batch.events, output)

    try:
        asyncio.run(with_store(target, follow))
    except Compacted as error:
        error.details = {"hint": _WATCH_ANEW, **error.details}
        raise


def _execute(target: EtcdTarget, operation: Operation) -> Any:  # noqa: ANN401 - the caller checks
    async def run(store: Store) -> Any:  # noqa: ANN401
        return (await store.txn(Txn(success=(operation,)))).results[0]

    return asyncio.run(with_store(target, run))


async def _read_all(store: Store, request: RangeRequest, limit: int) -> RangeResult:
    """Read page by page at one revision, so that neither side holds a large range at once."""
    page = await store.range(request)
    total = page.count
    pairs: list[KeyValue] = list(page.kvs)
    pinned = request.revision or page.revision
    while page.more and (not limit or len(pairs) < limit):
        after = pairs[-1].key + b"\0"
        page = await store.range(
            RangeRequest(
                range=KeyRange(after, request.range.end),
                limit=min(_PAGE_KEYS, limit - len(pairs)) if limit else _PAGE_KEYS,
                revision=Revision(pinned),
                keys_only=request.keys_only,
            )
        )
        pairs += page.kvs
    return RangeResult(Revision(pinned), tuple(pairs), total, page.more)

"""Between the store's own types and the plain tuples that cross into the extension module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.errors import Internal, Invalid
from decube.store.types import (
    CompareTarget,
    Delete,
    DeleteResult,
    Event,
    KeyValue,
    LeaseId,
    Put,
    PutResult,
    RangeRequest,
    RangeResult,
    Revision,
    Txn,
    TxnResult,
)

if TYPE_CHECKING:
    from decube import _native
    from decube.store.types import Compare, Operation, OperationResult


def encode_txn(
    txn: Txn,
) -> tuple[list[_native._Compare], list[_native._Operation], list[_native._Operation]]:
    """Make a transaction's tuple, nested ones included."""
    return (
        [_encode_compare(compare) for compare in txn.compares],
        [_encode_operation(operation) for operation in txn.success],
        [_encode_operation(operation) for operation in txn.failure],
    )


def _encode_operation(operation: Operation) -> _native._Operation:
    match operation:
        case Put(key=key, value=value, lease=lease, prev_kv=prev_kv):
            return ("put", key, value, lease, prev_kv)
        case RangeRequest():
            return (
                "range",
                operation.range.key,
                operation.range.end,
                operation.limit,
                operation.revision,
                operation.keys_only,
                operation.count_only,
            )
        case Delete(range=keys, prev_kv=prev_kv):
            return ("delete", keys.key, keys.end, prev_kv)
        case Txn():
            return ("txn", *encode_txn(operation))


def _encode_compare(compare: Compare) -> _native._Compare:
    operand = compare.operand
    if isinstance(operand, bytes) != (compare.target is CompareTarget.VALUE):
        raise Invalid("a compare of VALUE takes bytes, any other an int", field="operand")
    keys = compare.range
    return (keys.key, keys.end, compare.target.value, compare.operator.value, operand)


def decode_txn(request: Txn, answer: _native._TxnAnswer) -> TxnResult:
    """Read a transaction's answer, nested ones included."""
    return _decode_txn(request, answer, Revision(answer[0]))


def _decode_txn(request: Txn, answer: _native._TxnAnswer, revision: Revision) -> TxnResult:
    # The engine leaves a nested answer's revision empty, as etcd does: it is the outermost one's.
    _, succeeded, results = answer
    operations = request.success if succeeded else request.failure
    return TxnResult(
        revision,
        succeeded,
        tuple(
            [
                _decode_result(operation, result, revision)
                for operation, result in zip(operations, results, strict=True)
            ]
        ),
    )


def _decode_result(
    operation: Operation, result: _native._OperationAnswer, outermost: Revision
) -> OperationResult:
    match operation, result:
        case _, ("put", revision, previous):
            return PutResult(Revision(revision), previous and decode_key_value(previous))
        case RangeRequest(keys_only=keys_only), ("range", revision, records, count, more):
            # The engine's records are whole; what was not asked for is left out here.
            make = _decode_key if keys_only else decode_key_value
            kvs = tuple([make(record) for record in records])
            return RangeResult(Revision(revision), kvs, count, more)
        case _, ("delete", revision, deleted, previous):
            return DeleteResult(Revision(revision), deleted, decode_key_values(previous))
        case Txn(), ("txn", revision, succeeded, results):
            return _decode_txn(operation, (revision, succeeded, results), outermost)
        case _:
            raise Internal("the engine's answer does not fit the operation")


def _decode_key(record: _native._KeyValue) -> KeyValue:
    key, _, create_revision, mod_revision, version, _ = record
    return KeyValue(key, b"", Revision(create_revision), Revision(mod_revision), version)


def decode_key_value(record: _native._KeyValue) -> KeyValue:
    """Read one version of a key."""
    key, value, create_revision, mod_revision, version, lease = record
    return KeyValue(
        key, value, Revision(create_revision), Revision(mod_revision), version, LeaseId(lease)
    )


def decode_key_values(records: list[_native._KeyValue]) -> tuple[KeyValue, ...]:
    """Read many versions."""
    return tuple([decode_key_value(record) for record in records])


def decode_event(event: _native._Event) -> Event:
    """Read one change."""
    record, deleted, previous = event
    return Event(decode_key_value(record), deleted, previous and decode_key_value(previous))

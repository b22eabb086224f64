"""Between the store's own types and etcd's messages. Pure; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decube.kit.errors import Internal, Invalid
from decube.pb.etcd import rpc_pb2 as rpc
from decube.pb.etcd.kv_pb2 import Event as EventMessage
from decube.store.types import (
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    DeleteResult,
    Event,
    KeyRange,
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
    from decube.pb.etcd.kv_pb2 import KeyValue as KeyValueMessage
    from decube.store.types import Operation, OperationResult

_OPERATORS = {
    CompareOperator.EQUAL: rpc.Compare.EQUAL,
    CompareOperator.GREATER: rpc.Compare.GREATER,
    CompareOperator.LESS: rpc.Compare.LESS,
    CompareOperator.NOT_EQUAL: rpc.Compare.NOT_EQUAL,
}


def encode_range(request: RangeRequest) -> rpc.RangeRequest:
    """Make a range's message."""
    return rpc.RangeRequest(
        key=request.range.key,
        range_end=request.range.end,
        limit=request.limit,
        revision=request.revision,
        keys_only=request.keys_only,
        count_only=request.count_only,
        serializable=request.serializable,
    )


def encode_txn(txn: Txn) -> rpc.TxnRequest:
    """Make a transaction's message, nested ones included."""
    return rpc.TxnRequest(
        compare=[_encode_compare(compare) for compare in txn.compares],
        success=[_encode_operation(operation) for operation in txn.success],
        failure=[_encode_operation(operation) for operation in txn.failure],
    )


def _encode_operation(operation: Operation) -> rpc.RequestOp:
    match operation:
        case Put(key=key, value=value, lease=lease, prev_kv=prev_kv):
            put = rpc.PutRequest(key=key, value=value, lease=lease, prev_kv=prev_kv)
            return rpc.RequestOp(request_put=put)
        case RangeRequest():
            return rpc.RequestOp(request_range=encode_range(operation))
        case Delete(range=KeyRange(key=key, end=end), prev_kv=prev_kv):
            delete = rpc.DeleteRangeRequest(key=key, range_end=end, prev_kv=prev_kv)
            return rpc.RequestOp(request_delete_range=delete)
        case Txn():
            return rpc.RequestOp(request_txn=encode_txn(operation))


def _encode_compare(compare: Compare) -> rpc.Compare:
    message = rpc.Compare(
        key=compare.range.key,
        range_end=compare.range.end,
        result=_OPERATORS[compare.operator],
    )
    operand = compare.operand
    if isinstance(operand, bytes) != (compare.target is CompareTarget.VALUE):
        raise Invalid("a compare of VALUE takes bytes, any other an int", field="operand")
    match compare.target, operand:
        case CompareTarget.VALUE, bytes():
            message.target, message.value = rpc.Compare.VALUE, operand
        case CompareTarget.VERSION, int():
            message.target, message.version = rpc.Compare.VERSION, operand
        case CompareTarget.CREATE_REVISION, int():
            message.target, message.create_revision = rpc.Compare.CREATE, operand
        case CompareTarget.MOD_REVISION, int():
            message.target, message.mod_revision = rpc.Compare.MOD, operand
        case CompareTarget.LEASE, int():
            message.target, message.lease = rpc.Compare.LEASE, operand
    return message


def decode_range(message: rpc.RangeResponse) -> RangeResult:
    """Read a range's answer."""
    return RangeResult(
        Revision(message.header.revision),
        tuple([decode_key_value(kv) for kv in message.kvs]),
        message.count,
        message.more,
    )


def decode_txn(message: rpc.TxnResponse) -> TxnResult:
    """Read a transaction's answer, nested ones included."""
    return _decode_txn(message, Revision(message.header.revision))


def _decode_txn(message: rpc.TxnResponse, revision: Revision) -> TxnResult:
    # etcd leaves a nested answer's header empty: its revision is the outermost one's.
    results = [_decode_result(result, revision) for result in message.responses]
    return TxnResult(revision, message.succeeded, tuple(results))


def _decode_result(message: rpc.ResponseOp, revision: Revision) -> OperationResult:
    match message.WhichOneof("response"):
        case "response_put":
            put = message.response_put
            previous = decode_key_value(put.prev_kv) if put.HasField("prev_kv") else None
            return PutResult(Revision(put.header.revision), previous)
        case "response_range":
            return decode_range(message.response_range)
        case "response_delete_range":
            delete = message.response_delete_range
            return DeleteResult(
                Revision(delete.header.revision),
                delete.deleted,
                tuple([decode_key_value(kv) for kv in delete.prev_kvs]),
            )
        case "response_txn":
            return _decode_txn(message.response_txn, revision)
        case _:
            raise Internal("the store answered an operation with none of the known answers")


def decode_key_value(kv: KeyValueMessage) -> KeyValue:
    """Read one version of a key."""
    return KeyValue(
        kv.key,
        kv.value,
        Revision(kv.create_revision),
        Revision(kv.mod_revision),
        kv.version,
        LeaseId(kv.lease),
    )


def decode_event(event: EventMessage) -> Event:
    """Read one change."""
    return Event(
        decode_key_value(event.kv),
        event.type == EventMessage.DELETE,
        decode_key_value(event.prev_kv) if event.HasField("prev_kv") else None,
    )

"""`proto.DeCubeService`: which function answers which call.

Made from the service's descriptor, so that every call of the contract has an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from decube.api.grpc.errors import fail
from decube.kit.errors import Invalid, require
from decube.pb.decube.decube_pb2 import DESCRIPTOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from google.protobuf.descriptor import MethodDescriptor
    from grpc.aio import ServicerContext

    from decube.api.grpc.leases import LeaseCalls
    from decube.api.grpc.metrics import GrpcMetrics, MethodMetrics
    from decube.api.grpc.pods import PodCalls
    from decube.api.grpc.replication import ReplicationCalls
    from decube.api.grpc.snapshots import SnapshotCalls

    Call = Callable[[Any], Awaitable[Any]]
    CallWithContext = Callable[[Any, ServicerContext[Any, Any]], Awaitable[Any]]

_DESCRIPTOR = DESCRIPTOR.services_by_name["DeCubeService"]
SERVICE_NAME = _DESCRIPTOR.full_name


def service_handler(
    metrics: GrpcMetrics,
    pods: PodCalls,
    leases: LeaseCalls,
    snapshots: SnapshotCalls,
    replication: ReplicationCalls,
) -> grpc.GenericRpcHandler:
    """Return what the server asks for the function behind a call; each is counted."""
    built: Mapping[str, Call] = {
        "CreatePod": pods.create_pod,
        "GetPod": pods.get_pod,
        "ListPods": pods.list_pods,
        "UpdatePod": pods.update_pod,
        "DeletePod": pods.delete_pod,
        "CreateLease": leases.create_lease,
        "GetLease": leases.get_lease,
        "ListLeases": leases.list_leases,
        "RenewLease": leases.renew_lease,
        "DeleteLease": leases.delete_lease,
        "CreateSnapshot": snapshots.create_snapshot,
        "GetSnapshot": snapshots.get_snapshot,
        "ListSnapshots": snapshots.list_snapshots,
        "RestoreSnapshot": snapshots.restore_snapshot,
        "DeleteSnapshot": snapshots.delete_snapshot,
        "GetReplicationStatus": replication.get_replication_status,
    }
    # It looks at who calls.
    with_context: Mapping[str, CallWithContext] = {"ReplicateState": replication.replicate_state}
    names = {method.name for method in _DESCRIPTOR.methods}
    require(names == built.keys() | with_context.keys(), "every call of the contract is built")
    return grpc.method_handlers_generic_handler(
        SERVICE_NAME,
        {
            method.name: _handler(
                method,
                with_context.get(method.name) or _without_context(built[method.name]),
                metrics.of(method.name),
            )
            for method in _DESCRIPTOR.methods
        },
    )


def _handler(
    method: MethodDescriptor, call: CallWithContext, metrics: MethodMetrics
) -> grpc.RpcMethodHandler[Any, Any]:
    parse = GetMessageClass(method.input_type).FromString

    # Parsed in here, because grpcio tells bytes that are no message as UNKNOWN, with a traceback.
    async def serve(request: bytes, context: ServicerContext[Any, Any]) -> Any:  # noqa: ANN401
        with metrics.call(context):
            try:
                return await call(parse(request), context)
            except DecodeError:
                await fail(context, Invalid(f"the request is not a {method.input_type.full_name}"))
            except Exception as error:  # noqa: BLE001 - the root of the call: every error ends it
                await fail(context, error)

    return grpc.unary_unary_rpc_method_handler(
        serve, response_serializer=GetMessageClass(method.output_type).SerializeToString
    )


def _without_context(call: Call) -> CallWithContext:
    async def serve(request: Any, _context: ServicerContext[Any, Any]) -> Any:  # noqa: ANN401
        return await call(request)

    return serve

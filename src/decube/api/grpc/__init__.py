"""gRPC: `proto.DeCubeService` with reflection and health.

`server` runs it, `pods` translates the pod calls, `errors` says which errors are told in the answer
and which fail the call.
"""

from decube.api.grpc.dependencies import GrpcDependencies, GrpcOptions
from decube.api.grpc.server import GrpcServer

__all__ = ["GrpcDependencies", "GrpcOptions", "GrpcServer"]

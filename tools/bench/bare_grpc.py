"""The limit of the gRPC framework: a grpc.aio handler that returns a constant."""

from __future__ import annotations

import http.server
import sys
import threading

import grpc
import uvloop

CONSTANT = bytes.fromhex("0a1e0a03776562120764656661756c741a0772756e6e696e67220464617465100122")[
    :34
]


class Constant(grpc.GenericRpcHandler):
    """Answers every method with the same bytes."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Give the one handler there is."""
        del details
        return HANDLER


async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """Answer the same whatever was asked."""
    del request, context
    return CONSTANT


HANDLER = grpc.unary_unary_rpc_method_handler(answer)


async def serve(port: int, ready_port: int) -> None:
    """Serve until the process ends; the HTTP listener only tells that it is ready."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Constant(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    ready = http.server.HTTPServer(("127.0.0.1", ready_port), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=ready.serve_forever, daemon=True).start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))

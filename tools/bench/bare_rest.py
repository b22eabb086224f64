"""The limit of the REST framework: a Litestar handler that returns a constant."""

from __future__ import annotations

import sys

import uvicorn
from litestar import Litestar, get

CONSTANT = {"pod": {"name": "web", "namespace": "default", "status": "running"}, "found": True}


@get(["/", "/api/v1/pods/{name:str}"], sync_to_thread=False)
def constant() -> dict[str, object]:
    """Answer the same whatever was asked."""
    return CONSTANT


if __name__ == "__main__":
    app = Litestar([constant], openapi_config=None)
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", access_log=False, log_level="warning")

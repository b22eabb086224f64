"""`decube up` over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cli import Cli
from tests.support.node import NodeProcess

if TYPE_CHECKING:
    from tests.support.certificates import Pair, TestAuthority


class TlsNode(NodeProcess):
    """A node that shows a pair; ready when all of it listens."""

    def __init__(
        self, directory: Path, authority: TestAuthority, pair: Pair, **settings: str
    ) -> None:
        tls = {
            "DECUBE_SECURITY_TLS_ENABLED": "true",
            "DECUBE_SECURITY_CERT_FILE": str(pair.cert_file),
            "DECUBE_SECURITY_KEY_FILE": str(pair.key_file),
            "DECUBE_SECURITY_RELOAD_INTERVAL": "100ms",
        }
        super().__init__(directory, **{**tls, **settings})
        self.authority = authority
        self.pair = pair

    def wait_until_ready(self) -> None:
        """Wait for the node's file: it comes when all listeners are open."""
        directory = Path(self.environment["DECUBE_NODE_DATA_DIR"])
        self.wait_until_written(directory / "node.json", f'"pid": {self.pid},')

    def cli(self, client: Pair | None = None) -> Cli:
        """Return a command line that trusts the node, and shows a certificate if it has one."""
        shown = {}
        if client is not None:
            shown = {"DECUBE_CERT": str(client.cert_file), "DECUBE_KEY": str(client.key_file)}
        return Cli(
            {
                "DECUBE_ADDRESS": self.rest_address,
                "DECUBE_CACERT": str(self.authority.ca_file),
                **shown,
            }
        )

"""The listener's certificate as grpcio takes it: asked for anew before each handshake.

gRPC's core speaks TLS 1.2 and above. It calls back on threads of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from decube.kit.errors import require

if TYPE_CHECKING:
    from decube.api.identity import Identity, Material


def server_credentials(identity: Identity) -> grpc.ServerCredentials:
    """Return credentials that follow the identity."""
    require(identity.client_auth != "request", "grpcio can only require certificates, or not")
    current = identity.material

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal current
        material = identity.material
        if material is current:
            return None
        current = material
        return _configuration(material)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(current),
        fetch,  # type: ignore[arg-type]  # the stub forgets None: nothing changed
        require_client_authentication=identity.client_auth == "require",
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.private_key_pem, material.certificate_pem)],
        root_certificates=material.authorities_pem,
    )

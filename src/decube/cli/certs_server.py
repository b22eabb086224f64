"""What a server shows of itself: its certificates, whoever made them."""

import socket
import ssl
from typing import TYPE_CHECKING

from decube.kit.addresses import parse_address
from decube.kit.errors import Invalid, Unavailable, system_reason

if TYPE_CHECKING:
    from cryptography import x509

_TIMEOUT_S = 10.0


def shown_by(place: str) -> "list[x509.Certificate]":
    """Connect to `HOST:PORT` and return what it shows. Raises `Invalid` and `Unavailable`."""
    from cryptography import x509

    try:
        address = parse_address(place.removeprefix("https://").rstrip("/"))
    except ValueError as error:
        raise Invalid(f'"{place}" is neither a file nor HOST:PORT', field="place") from error
    context = ssl.create_default_context()
    # It is looked at, not trusted.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.host, address.port), _TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=address.host) as connection,
        ):
            leaf = connection.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        raise Unavailable(
            f"{address} shows no certificate: {reason}", hint="does it speak TLS?"
        ) from error
    except OSError as error:
        reason = system_reason(error)
        hint = "does a server listen there? name it as HOST:PORT, or the file of a certificate"
        raise Unavailable(f"cannot reach {address}: {reason}", hint=hint) from error
    return [x509.load_der_x509_certificate(leaf)] if leaf else []

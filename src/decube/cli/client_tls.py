"""How client commands trust a server, and who they are to it: by options or variables."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from decube.kit.errors import DecubeError, Invalid, Unavailable, system_reason


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """The certificates of a client, all of them optional."""

    cacert: Annotated[
        Path | None,
        Parameter(
            env_var="DECUBE_CACERT",
            help="CA (PEM) that vouches for the server; by default those of this system.",
            group="Connection",
        ),
    ] = None
    cert: Annotated[
        Path | None,
        Parameter(env_var="DECUBE_CERT", help="Client certificate (PEM).", group="Connection"),
    ] = None
    key_file: Annotated[
        Path | None,
        Parameter(
            name="--key",
            env_var="DECUBE_KEY",
            help="Private key (PEM) of --cert.",
            group="Connection",
        ),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether anything was said of certificates: then TLS is meant."""
        return bool(self.cacert or self.cert or self.key_file)

    def context(self) -> ssl.SSLContext:
        """Return what a connection is secured by. Raises `Invalid`."""
        if bool(self.cert) != bool(self.key_file):
            missing = "key" if self.cert else "cert"
            raise Invalid(
                f"a client certificate needs --cert and --key: --{missing} is missing",
                field=missing,
            )
        try:
            context = ssl.create_default_context(cafile=self.cacert)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("cacert", self.cacert, error) from error
        if self.cert and self.key_file:
            try:
                context.load_cert_chain(self.cert, self.key_file, password=_no_passphrase)
            except (OSError, ssl.SSLError) as error:
                raise _unusable("cert", self.cert, error) from error
        return context


def refused_handshake(address: str, error: ssl.SSLError) -> DecubeError:
    """Say why a server and this client do not speak, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(
            f"{address} is not trusted: {error.verify_message}",
            hint="--cacert or DECUBE_CACERT names the CA that vouches for it; "
            "`decube certs inspect HOST:PORT` shows its certificate",
        )
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if reason == "wrong version number":
        return Unavailable(
            f"{address} does not speak TLS", hint="write http:// instead of https://"
        )
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return Unavailable(
            f"{address} does not accept this client: {reason}",
            hint="--cert and --key, or DECUBE_CERT and DECUBE_KEY, name a certificate that it "
            "trusts",
        )
    return Unavailable(f"TLS with {address} failed: {reason}")


def _no_passphrase() -> bytes:
    """Keep OpenSSL from asking on the terminal, in the middle of a script."""
    return b""


def _unusable(field: str, path: Path | None, error: OSError) -> Invalid:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).lower().replace("_", " ")
    else:
        reason = system_reason(error)
    return Invalid(f"--{field} {path} cannot be used: {reason}", field=field)

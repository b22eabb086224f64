"""`decube certs`: a CA and certificates for trying TLS out, and a look at those there are."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from decube.cli.certs_files import check_name, days_option, hosts_of, read_authority, write_pair
from decube.cli.certs_output import Form, print_certificates, print_written
from decube.kit.durations import Duration
from decube.kit.errors import Invalid

app = App(name="certs", help="Make certificates for TLS, and look at them.", version_flags=[])

CA_NAME = "ca"
_YEAR = Duration.of_seconds(365 * 86_400)
_TEN_YEARS = Duration.of_seconds(3650 * 86_400)

Directory = Annotated[
    Path, Parameter(name="--dir", help="Where the files are: NAME.pem and NAME.key.")
]
Force = Annotated[bool, Parameter(help="Replace files that exist.", negative=())]
ValidFor = Annotated[
    Duration,
    Parameter(
        name="--valid-for",
        converter=days_option,
        n_tokens=1,
        accepts_keys=False,
        help="Until it expires: 365d, 12h.",
        show_default=False,
    ),
]


@app.command
def init(
    *,
    name: Annotated[str, Parameter(help="What the CA is called.")] = "DeCube CA",
    directory: Directory = Path("certs"),
    valid_for: ValidFor = _TEN_YEARS,
    force: Force = False,
) -> None:
    """Make a CA: its certificate, and the private key that signs others. For ten years.

    Whoever has ca.key can make certificates that are trusted: keep it.

    For example:

        decube certs init
        decube certs init --dir /etc/decube/certs --valid-for 730d
    """
    from decube.kit.certificate_authority import Validity, make_authority
    from decube.kit.clock import SystemClock

    check_name(name)
    validity = Validity(SystemClock().now(), timedelta(seconds=valid_for.seconds))
    print_written(write_pair(directory, CA_NAME, make_authority(name, validity), force=force))


@app.command
def issue(
    *,
    name: Annotated[str, Parameter(help="Whom it is for; also names its files.")],
    host: Annotated[
        tuple[str, ...],
        Parameter(help="Name or IP address it serves; may be repeated, or by commas.", negative=()),
    ] = (),
    client: Annotated[bool, Parameter(help="Also (or only) for a client.", negative=())] = False,
    directory: Directory = Path("certs"),
    valid_for: ValidFor = _YEAR,
    force: Force = False,
) -> None:
    """Issue a certificate signed by the CA in the same directory. For a year.

    With --host it is for a server, with --client for a client; peers need both.

    For example:

        decube certs issue --name node-1 --host localhost,127.0.0.1
        decube certs issue --name alice --client
        decube certs issue --name node-2 --host node-2.example --client --valid-for 90d
    """
    from decube.kit.certificate_authority import LeafRequest, Validity
    from decube.kit.certificate_authority import issue as sign
    from decube.kit.clock import SystemClock

    check_name(name, is_file=True)
    if name == CA_NAME:
        raise Invalid(f'"{CA_NAME}" is the CA itself: choose another --name', field="name")
    hosts = hosts_of(host)
    if not hosts and not client:
        raise Invalid("name whom it is for: --host for a server, --client", field="host")
    request = LeafRequest(name, hosts, server=bool(hosts), client=client)
    validity = Validity(SystemClock().now(), timedelta(seconds=valid_for.seconds))
    authority = read_authority(directory / f"{CA_NAME}.pem", directory / f"{CA_NAME}.key")
    print_written(write_pair(directory, name, sign(authority, request, validity), force=force))


@app.command
def inspect(place: str, /, *, output: Form = "table") -> None:
    """Tell what is in a file of certificates, or what a server shows. Nothing is verified.

    For example:

        decube certs inspect certs/node-1.pem
        decube certs inspect 127.0.0.1:8080 -o json
    """
    from decube.cli.certs_files import read_file
    from decube.cli.certs_server import shown_by
    from decube.kit.certificates import facts_of

    path = Path(place)
    found = read_file(path) if path.exists() else shown_by(place)
    print_certificates([facts_of(certificate) for certificate in found], output)

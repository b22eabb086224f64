"""The options that many commands share."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from decube.cli.client_tls import ClientTls
from decube.cli.output import OutputFormat
from decube.cli.rest_client import DEFAULT_ADDRESS, RestClient
from decube.kit.durations import Duration, parse_duration
from decube.kit.errors import Invalid

TIMEOUT_DEFAULT = Duration.of_seconds(10)


def timeout_option(_hint: object, tokens: object) -> Duration:
    """Read an option that is a time to wait; how cyclopts wants a converter."""
    timeout = parse_duration(tokens[0].value)  # type: ignore[index]
    if timeout.nanoseconds <= 0:
        raise ValueError("it must be more than 0")
    return timeout


Output = Annotated[
    OutputFormat, Parameter(name=["--output", "-o"], help="Form of what is printed.")
]
Timeout = Annotated[
    Duration,
    Parameter(
        converter=timeout_option,
        n_tokens=1,
        accepts_keys=False,
        help="How long one request may take.",
    ),
]
Address = Annotated[
    str,
    Parameter(
        env_var="DECUBE_ADDRESS",
        help="URL of the REST API; without a scheme it is https where a certificate is named, "
        "else http.",
        group="Connection",
    ),
]


Metadata = Annotated[
    tuple[str, ...],
    Parameter(name=["--metadata", "-m"], negative=(), help="KEY=VALUE; may be repeated."),
]


def metadata_of(texts: tuple[str, ...]) -> dict[str, str]:
    """Read what `--metadata` says. Raises `Invalid`."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f'--metadata "{text}" is not KEY=VALUE', field="metadata")
        pairs[key] = value
    return pairs


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Node(ClientTls):
    """Which node is called, how it is trusted, and how long it may take."""

    address: Address = DEFAULT_ADDRESS
    timeout: Annotated[Timeout, Parameter(group="Connection")] = TIMEOUT_DEFAULT

    def client(self) -> RestClient:
        """Return a client of the node."""
        return RestClient(self.address, self.timeout.seconds, self)

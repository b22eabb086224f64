"""How certificates are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from decube.cli.output import print_line, print_object, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from decube.kit.certificates import CertificateFacts

Form = Annotated[
    Literal["table", "json", "yaml"],
    Parameter(name=["--output", "-o"], help="Form of what is printed."),
]


def print_written(paths: Sequence[Path]) -> None:
    """Tell which files were made."""
    for path in paths:
        print_line(f"{path} written")


def print_certificates(found: "Sequence[CertificateFacts]", output: Form) -> None:
    """Tell what is in certificates, the first one's first."""
    from decube.kit.clock import SystemClock

    now = SystemClock().now()
    told = [_told(facts, now) for facts in found]
    if output != "table":
        print_object(told, output)
        return
    for place, one in enumerate(told):
        if place:
            print_line("")
        print_table(("WHAT", "VALUE"), [(what, _text(value)) for what, value in one.items()])


def _told(facts: "CertificateFacts", now: "datetime") -> dict[str, Any]:
    from decube.model.timestamps import rfc3339

    return {
        "subject": facts.subject,
        "names": list(facts.names),
        "issuer": facts.issuer,
        "not_before": rfc3339(facts.not_before),
        "not_after": rfc3339(facts.not_after),
        "days_left": facts.left(now).days,
        "is_ca": facts.is_authority,
        "key_usage": list(facts.usages),
        "purposes": list(facts.purposes),
        "key": facts.key,
        "serial": facts.serial,
        "sha256": facts.fingerprint,
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)

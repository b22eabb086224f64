"""Names and namespaces: DNS-1123, as Kubernetes has them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from typing import NewType

from decube.kit.errors import Invalid

Name = NewType("Name", str)
Namespace = NewType("Namespace", str)

NAMESPACE_DEFAULT = Namespace("default")

LABEL_LENGTH_MAX = 63
SUBDOMAIN_LENGTH_MAX = 253

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL_PATTERN = re.compile(_LABEL)
SUBDOMAIN_PATTERN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

LABEL_RULE = (
    "lower case letters, digits and '-', starting and ending with a letter or digit, "
    f"at most {LABEL_LENGTH_MAX} characters"
)
SUBDOMAIN_RULE = (
    "lower case letters, digits, '-' and '.', each part starting and ending with a letter or "
    f"digit, at most {SUBDOMAIN_LENGTH_MAX} characters"
)


def check_name(text: str, field: str = "name") -> Name:
    """Return `text` as an object's name (a DNS-1123 subdomain) or raise `Invalid` for `field`."""
    check_subdomain(text, field)
    return Name(text)


def check_namespace(text: str, field: str = "namespace") -> Namespace:
    """Return `text` as a namespace (a DNS-1123 label) or raise `Invalid` for `field`."""
    if not text:
        raise Invalid(f"{field} is empty", field=field)
    if len(text) > LABEL_LENGTH_MAX or not LABEL_PATTERN.fullmatch(text):
        raise Invalid(f"{field} {shown(text)} is not a DNS-1123 label: {LABEL_RULE}", field=field)
    return Namespace(text)


def check_subdomain(text: str, field: str) -> None:
    """Raise `Invalid` for `field` unless `text` is a DNS-1123 subdomain."""
    if not text:
        raise Invalid(f"{field} is empty", field=field)
    if len(text) > SUBDOMAIN_LENGTH_MAX or not SUBDOMAIN_PATTERN.fullmatch(text):
        raise Invalid(
            f"{field} {shown(text)} is not a DNS-1123 subdomain: {SUBDOMAIN_RULE}", field=field
        )


def shown(text: str, length_max: int = 80) -> str:
    """Quote foreign text for a message: escaped, and cut when it is long."""
    quoted = ascii(text if len(text) <= length_max else text[:length_max])
    return quoted if len(text) <= length_max else f"{quoted}... ({len(text)} characters)"

"""What labels and annotations may be: Kubernetes' rules.

A key is `[prefix/]name`: the name at most 63 characters of letters, digits, `-`, `_` and `.`,
starting and ending with a letter or digit; the prefix a DNS-1123 subdomain. A label's value is
empty or like a name. An annotation's value is any text; all annotations of an object together have
at most 256 KiB.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from decube.kit.errors import Invalid
from decube.model.names import SUBDOMAIN_LENGTH_MAX, SUBDOMAIN_PATTERN, SUBDOMAIN_RULE, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_LENGTH_MAX = 63
ANNOTATIONS_BYTES_MAX = 256 * 1024

_NAME_PATTERN = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
VALUE_PATTERN = f"({_NAME_PATTERN})?"
"""Of a label's value, to describe it; its length is bounded too."""
KEY_PATTERN = f"({SUBDOMAIN_PATTERN.pattern}/)?" r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
"""Of a key, to describe it; its prefix has at most `SUBDOMAIN_LENGTH_MAX` characters."""

_QUALIFIED_NAME = re.compile(_NAME_PATTERN)
_QUALIFIED_NAME_RULE = (
    "letters, digits, '-', '_' and '.', starting and ending with a letter or digit, "
    f"at most {NAME_LENGTH_MAX} characters"
)


def check_labels(labels: Mapping[str, str], field: str = "labels") -> None:
    """Raise `Invalid` naming the first key or value that breaks the rules."""
    for key, value in labels.items():
        if reason := key_fault(key):
            raise Invalid(f"{field} key {shown(key)} {reason}", field=field)
        if reason := value_fault(value):
            raise Invalid(f"{field}[{key}] {shown(value)} {reason}", field=f"{field}.{key}")


def check_annotations(annotations: Mapping[str, str], field: str = "annotations") -> None:
    """Raise `Invalid` naming the first key that breaks the rules, or the total size."""
    size = 0
    for key, value in annotations.items():
        # Kubernetes checks annotation keys in lower case: upper case is allowed in the prefix too.
        if reason := key_fault(key.lower()):
            raise Invalid(f"{field} key {shown(key)} {reason}", field=field)
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_BYTES_MAX:
        raise Invalid(
            f"{field} have {size} bytes, at most {ANNOTATIONS_BYTES_MAX} are allowed", field=field
        )


def key_fault(key: str) -> str | None:
    """Say what is wrong with a label or annotation key, or None."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        if not prefix:
            return "has an empty prefix before '/'"
        if len(prefix) > SUBDOMAIN_LENGTH_MAX or not SUBDOMAIN_PATTERN.fullmatch(prefix):
            return f"has a prefix that is not a DNS-1123 subdomain: {SUBDOMAIN_RULE}"
    if not name:
        return "has an empty name"
    if len(name) > NAME_LENGTH_MAX or not _QUALIFIED_NAME.fullmatch(name):
        return f"is not a qualified name: {_QUALIFIED_NAME_RULE}"
    return None


def value_fault(value: str) -> str | None:
    """Say what is wrong with a label's value, or None."""
    if not value:
        return None
    if len(value) > NAME_LENGTH_MAX or not _QUALIFIED_NAME.fullmatch(value):
        return f"is not a label value: empty, or {_QUALIFIED_NAME_RULE}"
    return None

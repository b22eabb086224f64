"""What the registry must know about a kind of object, and where its objects live."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from decube.kit.escaping import escaped
from decube.model.names import Name, Namespace
from decube.store.types import KeyRange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from decube.model.metadata import Resource

ROOT = "/decube/"
"""Never `/registry/`: that prefix belongs to a kube-apiserver that may share the store."""

T = TypeVar("T", bound="Resource")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of object: `resource` names it in keys and URLs (plural), `noun` in messages.

    `type` is constructible from `metadata` alone. `check` raises `Invalid` when an object breaks a
    rule of the kind. `fields` are those by which a list may be filtered.
    """

    resource: str
    noun: str
    type: type[T]
    check: Callable[[T], None]
    fields: Mapping[str, Callable[[T], str]] = field(default_factory=dict)

    def key(self, namespace: Namespace, name: Name) -> bytes:
        """Return the key of one object."""
        return f"{ROOT}{self.resource}/{namespace}/{name}".encode()

    def prefix(self, namespace: Namespace | None = None) -> bytes:
        """Return what the keys of a namespace's objects, or of all, start with."""
        scope = "" if namespace is None else f"{namespace}/"
        return f"{ROOT}{self.resource}/{scope}".encode()

    def scope(self, namespace: Namespace | None = None) -> KeyRange:
        """Return the keys of a namespace's objects, or of all."""
        return KeyRange.prefix(self.prefix(namespace))

    def has(self, item: T, fields: Mapping[str, str]) -> bool:
        """Tell whether an object's fields have these values."""
        return all(self.fields[name](item) == value for name, value in fields.items())

    def title(self, namespace: str, name: str) -> str:
        """Name an object in a message."""
        return f"{self.noun} {namespace}/{name}"

    def told(self, key: bytes) -> str:
        """Tell what a key is behind the kind's prefix: `NAMESPACE/NAME`, or whatever it is."""
        return escaped(key[len(self.prefix()) :])

    def identity(self, key: bytes) -> tuple[Namespace, Name]:
        """Take a key apart; empty parts when it is not one of this kind's keys."""
        path = key[len(self.prefix()) :].decode(errors="replace")
        namespace, _, name = path.partition("/")
        return Namespace(namespace), Name(name)

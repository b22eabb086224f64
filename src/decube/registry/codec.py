"""How a row of the store becomes an object, and an object a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import msgspec

from decube.kit.errors import Corrupt
from decube.kit.escaping import escaped
from decube.model.metadata import NO_STORE_LEASE, NOT_STORED, ResourceVersion, StoreLease
from decube.registry.kind import T

if TYPE_CHECKING:
    from decube.registry.kind import Kind
    from decube.registry.unreadable import UnreadableRows
    from decube.store.types import KeyValue

_ENCODER = msgspec.json.Encoder()


class Codec(Generic[T]):
    """Reads and writes the rows of one kind; reports those it cannot read."""

    def __init__(self, kind: Kind[T], unreadable: UnreadableRows) -> None:
        self._kind = kind
        self._unreadable = unreadable
        self._decoder = msgspec.json.Decoder(kind.type)

    def encode(self, item: T) -> bytes:
        """Write an object as a row's value, without what its key tells."""
        metadata = msgspec.structs.replace(
            item.metadata,
            resource_version=NOT_STORED,
            create_version=NOT_STORED,
            store_lease=NO_STORE_LEASE,
        )
        return _ENCODER.encode(msgspec.structs.replace(item, metadata=metadata))

    def decode(self, row: KeyValue) -> T:
        """Read a row; raise `Corrupt`, and report the row, when it holds no such object."""
        try:
            item = self._decoder.decode(row.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._corrupt(row, str(error)) from error
        namespace, name = self._kind.identity(row.key)
        if item.metadata.name != name or item.metadata.namespace != namespace:
            raise self._corrupt(
                row, f"it names itself {item.metadata.namespace}/{item.metadata.name}"
            )
        return stamped(
            item,
            ResourceVersion(row.mod_revision),
            create_version=ResourceVersion(row.create_revision),
            store_lease=StoreLease(row.lease),
        )

    def decode_or_report(self, row: KeyValue) -> T | None:
        """Read a row; None, after reporting it, when it holds no such object."""
        try:
            return self.decode(row)
        except Corrupt:
            return None

    def _corrupt(self, row: KeyValue, reason: str) -> Corrupt:
        self._unreadable.report(self._kind.resource, row, reason)
        return Corrupt(
            f"stored {self._kind.title(*self._kind.identity(row.key))} is unreadable: {reason}; "
            "delete it, or repair the row",
            key=escaped(row.key),
            mod_revision=row.mod_revision,
        )


def stamped(
    item: T,
    resource_version: ResourceVersion,
    *,
    create_version: ResourceVersion | None = None,
    store_lease: StoreLease | None = None,
) -> T:
    """Set what its key tells of an object that nobody else has seen yet; None leaves as it is."""
    set_field, metadata = msgspec.structs.force_setattr, item.metadata
    set_field(metadata, "resource_version", resource_version)
    if create_version is not None:
        set_field(metadata, "create_version", create_version)
    if store_lease is not None:
        set_field(metadata, "store_lease", store_lease)
    return item

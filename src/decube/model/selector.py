"""Label selectors: what they are and whether labels match. `selector_text` reads them.

A selector is a conjunction of requirements. With the labels `{tier: web, rev: 7}`:

    tier = web, tier in (web, db), rev, !gpu, gpu != yes, gpu notin (yes), rev > 5     all match
    tier = db, gpu, gpu in (yes), gpu = yes, rev < 5                                   none does

An absent label meets `!=`, `notin` and `!key`, and no other requirement.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTEGER = re.compile(r"[+-]?[0-9]+")


class Operator(Enum):
    """How a requirement holds a label against its values."""

    EXISTS = "exists"
    ABSENT = "!"
    IN = "in"
    NOT_IN = "notin"
    GREATER = ">"
    LESS = "<"


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label. `key = value` is IN with one value, `!=` NOT_IN."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.GREATER | Operator.LESS:
                return self._matches_number(value)

    def _matches_number(self, value: str | None) -> bool:
        if value is None or not _INTEGER.fullmatch(value):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator is Operator.GREATER else int(value) < bound

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} ({','.join(self.values)})"
            case Operator.GREATER | Operator.LESS:
                return f"{self.key}{self.operator.value}{self.values[0]}"


class Selector(msgspec.Struct, frozen=True):
    """All requirements must be met; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def equal_to(cls, labels: Mapping[str, str]) -> Selector:
        """Select what has all of these labels with these values."""
        return cls(tuple(Requirement(k, Operator.IN, (v,)) for k, v in sorted(labels.items())))

    @property
    def is_everything(self) -> bool:
        """Whether it selects without looking."""
        return not self.requirements

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()

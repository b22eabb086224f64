"""Reads label selectors in Kubernetes' grammar, to the letter of its parser.

    selector    = [ requirement { "," requirement } ]
    requirement = "!" KEY | KEY | KEY ("=" | "==" | "!=") [ VALUE ] | KEY (">" | "<") INTEGER
                | KEY ("in" | "notin") "(" [ VALUE ] { "," [ VALUE ] } ")"

`in` and `notin` are words only where an operator is expected. An omitted value is the empty one.
https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/labels/selector.go
"""

from __future__ import annotations

import re

import msgspec

from decube.kit.errors import Invalid
from decube.model.labels import key_fault, value_fault
from decube.model.names import shown
from decube.model.selector import Operator, Requirement, Selector

_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+)")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_INT64_MAX = 2**63 - 1
_INTEGER = re.compile(r"[0-9]{1,19}")
_OPERATORS = "in, notin, =, ==, !=, > or <"


def parse_selector(text: str, field: str = "label_selector") -> Selector:
    """Read a selector; "" selects everything. Raise `Invalid` telling `position` and reason."""
    return _Parser(text, field).selector()


class _Token(msgspec.Struct, frozen=True):
    """A symbol or a word with its position; `text` is "" at the end."""

    text: str
    position: int

    @property
    def is_word(self) -> bool:
        return bool(self.text) and self.text not in _SYMBOLS


class _Parser:
    """Recursive descent with one token of lookahead."""

    def __init__(self, text: str, field: str) -> None:
        self._text = text
        self._field = field
        self._tokens = [_Token(m[1], m.start(1)) for m in _TOKEN.finditer(text)]
        self._tokens.append(_Token("", len(text)))
        self._at = 0

    def selector(self) -> Selector:
        requirements: list[Requirement] = []
        if not self._peek().text:
            return Selector()
        while True:
            requirements.append(self._requirement())
            token = self._next()
            if not token.text:
                return Selector(tuple(requirements))
            if token.text != ",":
                raise self._refusal(token, "',' or the end")

    def _requirement(self) -> Requirement:
        if self._peek().text == "!":
            self._next()
            return Requirement(self._key(), Operator.ABSENT)
        key = self._key()
        if self._peek().text in ("", ","):
            return Requirement(key, Operator.EXISTS)
        token = self._next()
        match token.text:
            case "=" | "==":
                return Requirement(key, Operator.IN, (self._exact_value(),))
            case "!=":
                return Requirement(key, Operator.NOT_IN, (self._exact_value(),))
            case ">" | "<":
                return Requirement(key, Operator(token.text), (self._integer(),))
            case "in" | "notin":
                return Requirement(key, Operator(token.text), self._value_set())
        raise self._refusal(token, _OPERATORS)

    def _key(self) -> str:
        token = self._next()
        if not token.is_word:
            raise self._refusal(token, "a label key")
        if fault := key_fault(token.text):
            raise self._fault(token, f"label key {shown(token.text)} {fault}")
        return token.text

    def _exact_value(self) -> str:
        if self._peek().text in ("", ","):
            return ""
        return self._value()

    def _value(self) -> str:
        token = self._next()
        if not token.is_word:
            raise self._refusal(token, "a label value")
        if fault := value_fault(token.text):
            raise self._fault(token, f"{shown(token.text)} {fault}")
        return token.text

    def _integer(self) -> str:
        token = self._next()
        if (
            not _INTEGER.fullmatch(token.text)
            or not -_INT64_MAX - 1 <= int(token.text) <= _INT64_MAX
        ):
            raise self._refusal(token, "an integer of 64 bits")
        return token.text

    def _value_set(self) -> tuple[str, ...]:
        opening = self._next()
        if opening.text != "(":
            raise self._refusal(opening, "'('")
        values: set[str] = set()
        while True:
            values.add(self._value() if self._peek().is_word else "")
            token = self._next()
            if token.text == ")":
                return tuple(sorted(values))
            if token.text != ",":
                raise self._refusal(token, "',' or ')'")

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.text:
            self._at += 1
        return token

    def _refusal(self, found: _Token, wanted: str) -> Invalid:
        what = shown(found.text) if found.text else "the end"
        return self._fault(found, f"found {what}, expected {wanted}")

    def _fault(self, token: _Token, reason: str) -> Invalid:
        return Invalid(
            f"{self._field} {shown(self._text)}: at character {token.position + 1}: {reason}",
            field=self._field,
            position=token.position,
        )

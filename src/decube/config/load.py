"""Makes the settings: defaults < file < environment < flags, each value converted and checked.

All problems are told at once, each by key, origin and reason, so that a file is put right in one
go. Pure but for reading the file: the environment and the flags are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

import msgspec

from decube.config import listener_tls, listening, replication, unused
from decube.config.keys import Key, keys, nearest, sections
from decube.config.settings import Section, Settings
from decube.config.sources import Given, Source, read_environment, read_file, read_flags
from decube.config.texts import check_texts
from decube.kit.addresses import Address, parse_address
from decube.kit.durations import Duration, parse_duration
from decube.kit.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DEFAULT: Final = "default"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_REMOTE_SCHEMES: Final = ("http://", "https://")
_ABOVE_ZERO: Final = frozenset(
    {
        "api.rest.timeout",
        "etcd.watch_progress_notify_interval",
        "node.shutdown_timeout",
        "replication.peer_timeout",
        "replication.retry_interval",
        "security.handshake_timeout",
        "security.reload_interval",
        "snapshot.interval",
        "store.connect_timeout",
        "store.leader_ttl",
        "store.request_timeout",
    }
)


class ConfigError(Invalid):
    """The configuration is refused; `problems` holds one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        head = "the configuration is refused:"
        one = len(problems) == 1
        lines = f" {problems[0]}" if one else "".join(f"\n  {line}" for line in problems)
        super().__init__(head + lines, field="config", problems=problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key where its value came from, in words (`default` at least)."""

    settings: Settings
    origins: Mapping[str, str]

    def without_effect(self) -> list[Key]:
        """Return the keys that somebody set and that do nothing, ever or beside the others."""
        beside = listener_tls.without_effect(self.settings)
        alone = {
            **unused.without_effect(self.settings),
            **replication.without_effect(self.settings),
        }
        idle = []
        for key in keys().values():
            if self.origins[key.path] == DEFAULT:
                continue
            if key.no_effect is not None:
                idle.append(key)
            elif key.path in alone:
                idle.append(replace(key, no_effect=alone[key.path]))
            elif key.path in beside and value_of(self.settings, key.path) != key.default:
                idle.append(replace(key, no_effect=beside[key.path]))
        return idle


def value_of(settings: Settings, path: str) -> object:
    """Return the value of a key."""
    found: object = settings
    for name in path.split("."):
        found = getattr(found, name)
    return found


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Iterable[tuple[str, str, str]] = (),
) -> Loaded:
    """Load the settings. Raises `ConfigError`, and `Invalid` for a file that cannot be read."""
    sources = [
        read_file(file) if file is not None else Source(),
        read_environment(environment or {}),
        read_flags(flags),
    ]
    problems = [problem for source in sources for problem in source.problems]
    given: dict[str, Given] = {}
    for source in sources:
        given.update(source.given)
    values: dict[str, object] = {}
    for path, one in given.items():
        try:
            values[path] = convert(keys()[path], one)
        except ValueError as error:
            problems.append(f"{path}: {error} ({one.origin})")
    settings = _build(Settings, "", values)
    if not problems:
        problems = _contradictions(settings, given)
    if problems:
        raise ConfigError(problems)
    origins = {path: given[path].origin if path in given else DEFAULT for path in keys()}
    return Loaded(settings, origins)


def convert(key: Key, given: Given) -> object:
    """Convert and check one value. Raises `ValueError` with the reason."""
    raw = given.raw
    check_texts(key.path, raw)
    if given.textual:
        raw = _from_text(key.bare_type, str(raw))
    if key.bare_number:
        raw = _with_unit(raw, key.bare_number)
    _check_choice(key.bare_type, raw)
    try:
        return msgspec.convert(raw, key.annotation, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace(" - at $", ", at item ")
        raise ValueError(reason[:1].lower() + reason[1:]) from error


def _from_text(kind: Any, text: str) -> Any:  # noqa: ANN401 - a type and a raw value
    """Make of an environment variable or flag what the file would hold."""
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        lowered = text.strip().lower()
        if lowered not in _TRUE | _FALSE:
            raise ValueError(f'"{text}" is neither true nor false')
        return lowered in _TRUE
    if kind is int:
        try:
            return int(text)
        except ValueError as error:
            raise ValueError(f'"{text}" is not a whole number') from error
    return text


def _with_unit(raw: Any, unit: str) -> Any:  # noqa: ANN401 - a raw value
    """Give a number alone its unit; nothing at all is 0."""
    text = raw.strip() if isinstance(raw, str) else raw
    if isinstance(text, str) and not text:
        return "0"
    is_number = isinstance(text, int) and not isinstance(text, bool)
    return f"{text}{unit}" if is_number or (isinstance(text, str) and text.isdecimal()) else raw


def _check_choice(kind: Any, raw: object) -> None:  # noqa: ANN401 - a type
    """Refuse what is none of a key's values by naming them, and the nearest."""
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    if choices and raw not in choices:
        near = nearest(str(raw), choices)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f'"{raw}" is none of {", ".join(choices)}{hint}')


def _decode(kind: type, raw: Any) -> Any:  # noqa: ANN401 - msgspec's hook
    """Parse the types of `kit`; used by msgspec for what it does not know."""
    if kind is Duration:
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            raise ValueError("expected a duration like 1h30m, 5s or 100ms")
        return parse_duration(str(raw))
    if kind is Address:
        if not isinstance(raw, str):
            raise ValueError("expected host:port")
        return parse_address(raw)
    raise NotImplementedError(kind)


def _build(section: type[Section], prefix: str, values: Mapping[str, object]) -> Any:  # noqa: ANN401
    fields: dict[str, object] = {}
    for name in section.__struct_fields__:
        path = prefix + name
        if path in sections():
            fields[name] = _build(sections()[path], path + ".", values)
        elif path in values:
            fields[name] = values[path]
    return section(**fields)


def _contradictions(settings: Settings, given: Mapping[str, Given]) -> list[str]:
    """Tell which valid values do not go together."""

    def where(path: str) -> str:
        return f" ({given[path].origin})" if path in given else ""

    problems = []
    problems += [
        problem + where(problem.partition(":")[0])
        for problem in (
            *listener_tls.contradictions(settings),
            *replication.contradictions(settings),
            *listening.contradictions(settings),
        )
    ]
    store = settings.store
    if store.backend == "etcd" and not store.endpoints:
        problems.append(
            "store.endpoints: the backend etcd needs at least one, like 127.0.0.1:2379"
            + where("store.backend")
        )
    if bool(store.cert_file) != bool(store.key_file):
        problems.append("store.cert_file and store.key_file go together: set both or none")
    if bool(store.username) != bool(store.password):
        problems.append("store.username and store.password go together: set both or none")
    problems += [
        f"store.endpoints: {reason}{where('store.endpoints')}"
        for endpoint in store.endpoints
        if (reason := _endpoint_problem(endpoint))
    ]
    problems += [
        f"{path}: must be longer than 0{where(path)}"
        for path in given
        if path in _ABOVE_ZERO and value_of(settings, path) == Duration(0)
    ]
    problems += [
        f"{path}: must not be negative{where(path)}"
        for path in given
        if isinstance(value := value_of(settings, path), Duration) and value < Duration(0)
    ]
    return problems


def _endpoint_problem(endpoint: str) -> str | None:
    bare = endpoint
    for scheme in _REMOTE_SCHEMES:
        bare = bare.removeprefix(scheme)
    if "@" in bare:
        # Not shown: it may hold a password.
        return "an endpoint holds a user: write host:port alone, and the user in store.username"
    if "://" in bare:
        return f'"{endpoint}" has an unknown scheme: use http:// or https://'
    try:
        parse_address(bare.removesuffix("/"))
    except ValueError as error:
        return str(error)
    return None

"""What pods, leases and snapshots have in common on the command line.

Each is a noun: objects of a route, each with an identity, which `-o name` prints as
`noun/identity` and every command takes back in either form.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from decube.cli.failures import tell
from decube.cli.output import OutputFormat, print_line, print_object, print_table
from decube.cli.paging import Listing
from decube.kit.errors import Invalid, NotFound

Object = dict[str, Any]


@dataclass(frozen=True)
class Noun:
    """One of them. `form` is how an identity is written; `row` makes a line of a table.

    `keys` is what the keys of those start with that are rows of the store.
    """

    name: str
    route: str
    identity: str
    form: str
    columns: tuple[str, ...]
    row: Callable[[Object], Sequence[str]]
    keys: str = ""

    def bare(self, typed: str) -> str:
        """Return an identity as typed, or as `-o name` prints it. Raises `Invalid`."""
        bare = typed.removeprefix(f"{self.name}/")
        if not bare or "/" in bare:
            raise Invalid(
                f'"{typed}" is not the {self.identity} of a {self.name}: '
                f"write {self.form} or {self.name}/{self.form}",
                field=self.name,
            )
        return bare

    def all_bare(self, typed: Sequence[str]) -> list[str]:
        """Return one identity or more. Raises `Invalid`."""
        if not typed:
            raise Invalid(f"name at least one {self.name}", field=self.name)
        return [self.bare(one) for one in typed]

    def path(self, typed: str) -> str:
        """Return the route of one object. Raises `Invalid`."""
        return f"{self.route}/{quote(self.bare(typed), safe='')}"

    def print_listing(self, found: Listing, output: OutputFormat) -> None:
        """Print many of them; those that could not be read are told on stderr, in one line."""
        if output in ("json", "yaml"):
            told = {f"{self.name}s": found.items, "count": len(found.items)}
            print_object({**told, "unreadable": found.unreadable}, output)
        else:
            self._print_lines(found.items, output)
        if found.unreadable:
            some = f"{found.unreadable} {self.name}" + ("" if found.unreadable == 1 else "s")
            tell(
                f"{some} could not be read, and not listed: the node's log tells which and why; "
                f"{self._removal(found)}"
            )

    def _removal(self, found: Listing) -> str:
        """Tell what removes those that could not be read: of rows the key, which all of them have.

        A name that cannot be typed is told escaped, and all with it.
        """
        if not self.keys:
            return f"`decube {self.name}s delete` removes what is of no use"
        names = found.unreadable_names
        option = " --escaped" if any(r"\x" in name for name in names) else ""
        told = ", ".join(shlex.quote(self.keys + name) for name in names)
        if (more := found.unreadable - len(names)) > 0:
            told = f"{told} or {more} more" if told else f"one that starts with {self.keys}"
        return f"`decube kv del{option} KEY` removes what is of no use, KEY being {told}"

    def print_one(self, one: Object, output: OutputFormat) -> None:
        """Print one of them."""
        if output in ("json", "yaml"):
            print_object(one, output)
        else:
            self._print_lines([one], output)

    def _print_lines(self, found: Sequence[Object], output: OutputFormat) -> None:
        if output == "name":
            for one in found:
                print_line(f"{self.name}/{one[self.identity]}")
        else:
            print_table(self.columns, [self.row(one) for one in found])

    def print_done(self, one: Object, verb: str, output: OutputFormat) -> None:
        """Tell what was done to one of them, unless the object itself was asked for."""
        if output == "table":
            print_line(f"{self.name}/{one[self.identity]} {verb}")
        else:
            self.print_one(one, output)

    def delete_each(
        self,
        identities: Iterable[str],
        delete: Callable[[str], bool],
        *,
        ignore_not_found: bool,
        place: str = "",
    ) -> None:
        """Delete, telling of each. Raises `NotFound` in the end for those that were not there."""
        missing = []
        for identity in identities:
            if delete(identity):
                print_line(f"{self.name}/{identity} deleted")
            else:
                missing.append(identity)
        if missing and not ignore_not_found:
            raise NotFound(f"no such {self.name}{place}: {', '.join(missing)}")

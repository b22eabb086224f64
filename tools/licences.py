"""Check that every dependency is under a licence we may ship with.

Reads what Cargo and the Python environment say of themselves; an unlisted licence fails, naming
the package. Test and build tools may also be under weak copyleft, since they are not shipped.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Python-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
TOOLS_ONLY = {"MPL-2.0"}
# Shipped all the same, with the reason.
EXCEPTIONS = {
    "certifi": "root certificates, unmodified: the MPL covers only its own files",
    "pyrage": "MIT, which only the LICENSE file in the wheel says",
}

# Packages that state their licence in words of their own, with what those words mean.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSF": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Evaluate an SPDX expression: one side of an OR is enough, both of an AND are needed."""
    text = expression.replace("/", " OR ").strip()
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    if text in allowed:
        return True
    for operator, combine in ((" AND ", all), (" OR ", any)):
        parts = split_outside_parentheses(text, operator)
        if len(parts) > 1:
            return combine(is_allowed(part, allowed) for part in parts)
    return False


def split_outside_parentheses(text: str, separator: str) -> list[str]:
    """Split at `separator` where no parenthesis is open."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and text.startswith(separator, position):
            parts.append(text[start:position])
            start = position + len(separator)
    return [*parts, text[start:]]


def rust_packages() -> list[tuple[str, str]]:
    """Tell name and licence of every crate in the lock file for this platform."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    return [
        (f"{package['name']} {package['version']}", package["license"] or "none stated")
        for package in json.loads(output)["packages"]
    ]


def python_licence(distribution: metadata.Distribution) -> str:
    """Tell a distribution's licence, from the most precise statement it makes."""
    about = distribution.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rsplit("::", 1)[1].strip()
        for line in about.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved ::")
    ]
    stated = classifiers or [str(about.get("License") or "none stated").splitlines()[0]]
    return " OR ".join(WORDS.get(words, words) for words in stated)


def python_packages() -> tuple[set[str], list[tuple[str, str]]]:
    """Tell the names that the product needs at run time, and every package with its licence."""
    installed = {canonical(d.metadata["Name"]): d for d in metadata.distributions()}
    shipped: set[str] = set()
    queue = ["decube"]
    while queue:
        name = queue.pop()
        if name in shipped or name not in installed:
            continue
        shipped.add(name)
        for requirement in installed[name].requires or []:
            needed, _, marker = requirement.partition(";")
            if "extra ==" not in marker and (match := re.match(r"[A-Za-z0-9._-]+", needed)):
                queue.append(canonical(match[0]))
    return shipped, [(name, python_licence(d)) for name, d in sorted(installed.items())]


def canonical(name: str) -> str:
    """Tell a distribution's name as requirements write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Print every package that may not be used, and how many were looked at."""
    bad: list[str] = []
    crates = rust_packages()
    bad += [f"{name}: {text}" for name, text in crates if not is_allowed(text, PERMISSIVE)]
    shipped, packages = python_packages()
    for name, text in packages:
        allowed = PERMISSIVE if name in shipped else PERMISSIVE | TOOLS_ONLY
        if name not in EXCEPTIONS and not is_allowed(text, allowed):
            bad.append(f"{name}: {text}")
    for line in bad:
        print(f"licence not allowed: {line}", file=sys.stderr)
    print(f"licences: {len(crates)} crates, {len(packages)} Python packages looked at")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

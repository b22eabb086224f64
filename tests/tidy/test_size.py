"""Modules stay small enough to read in one sitting, and the tree stays free of grab-bags."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 600
FUNCTION_LINES_MAX = 70
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc"}


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [ROOT / line for line in listing.splitlines()]
    return [path for path in paths if path.is_file() and not is_generated(path)]


def is_generated(path: Path) -> bool:
    return "pb" in path.parts or path.name.endswith(("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"))


def said(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_600_lines() -> None:
    long = {
        said(path): count
        for path in tracked("*.py", "*.pyi", "*.rs")
        if (count := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert not long, f"split these by idea: {long}"


def test_no_python_function_is_longer_than_70_lines() -> None:
    long = [
        f"{said(path)}:{node.lineno} {node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for path in tracked("src/*.py", "tools/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert not long, f"keep the control flow, move the leaves out: {long}"


def test_no_rust_function_is_longer_than_70_lines() -> None:
    long = [
        f"{said(path)}:{start} ({length} lines)"
        for path in tracked("crates/*.rs")
        for start, length in rust_functions(path.read_text())
        if length > FUNCTION_LINES_MAX
    ]
    assert not long, f"keep the control flow, move the leaves out: {long}"


def rust_functions(text: str) -> list[tuple[int, int]]:
    """First line and length of each function; rustfmt aligns its end with its start."""
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        opening = re.match(r"( *)(pub(\([a-z:]+\))? )?(async )?(const )?fn \w", line)
        if opening is None:
            continue
        ended = next((ln for ln in lines[number:] if ln.endswith((";", "{", "}"))), ";")
        if ended.endswith(";"):
            continue  # a declaration in a trait
        closing = opening[1] + "}"
        end = next((n for n in range(number, len(lines)) if lines[n] == closing), number)
        found.append((number + 1, end - number + 1))
    return found


def test_no_module_is_a_grab_bag() -> None:
    bags = [
        said(path)
        for path in tracked("*.py", "*.rs")
        if path.stem in GRAB_BAGS or path.parent.name in GRAB_BAGS
    ]
    assert not bags, f"name them for what a newcomer would look for: {bags}"


def test_every_todo_names_an_issue() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    loose = [
        f"{said(path)}:{number}"
        for path in tracked("*.py", "*.rs", "*.md", "Makefile")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not loose, f"write TODO(#issue): {loose}"

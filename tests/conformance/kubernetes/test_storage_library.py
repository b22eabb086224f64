"""The storage library of Kubernetes' API servers passes its own tests on DeCube.

They start an etcd for each test by one package of theirs. In a copy of the library that package is
replaced by tools/peers/kubestorage, which starts a node; nothing else is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.node import DECUBE
from tests.support.peers import PEERS

SOURCE = PEERS.parent / "kubestorage"
LIBRARY = "k8s.io/apiserver"
SECONDS_MAX = 3_000


@pytest.fixture(scope="module")
def module() -> Path:
    """Make a Go module in which the library's tests start nodes."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed, which the library's tests are built by")
    directory = PEERS / "kubestorage"
    if directory.exists():
        shutil.rmtree(directory)
    shutil.copytree(SOURCE, directory)
    go(directory, "mod", "download", LIBRARY)
    published = go(directory, "list", "-m", "-f", "{{.Dir}}", LIBRARY).strip()
    library = directory / "apiserver"
    shutil.copytree(published, library, copy_function=shutil.copyfile)
    # Go keeps modules in directories that nobody may write, which are copied so.
    for copied, _, _ in os.walk(library):
        Path(copied).chmod(0o755)
    replaced = library / "pkg/storage/etcd3/testserver/test_server.go"
    shutil.copyfile(SOURCE / "testserver.go", replaced)
    go(directory, "mod", "edit", f"-replace={LIBRARY}=./apiserver")
    return directory


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS_MAX)
@pytest.mark.parametrize("package", ["etcd3"])
def test_the_library_passes_its_own_tests(module: Path, tmp_path: Path, package: str) -> None:
    program = module / f"{package}.test"
    go(module, "test", "-c", f"-o={program}", f"{LIBRARY}/pkg/storage/{package}")
    done = subprocess.run(
        [program, "-test.v"],
        cwd=tmp_path,
        env={**os.environ, "KUBESTORAGE_DECUBE": str(DECUBE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    passed = done.stdout.count("--- PASS")
    print(f"{package}: {passed} tests of the library passed")  # noqa: T201 - the evidence
    failed = [line for line in done.stdout.splitlines() if "--- FAIL" in line]
    assert not failed, f"{failed}: {done.stdout[-20_000:]}"
    assert done.returncode == 0, done.stderr
    assert passed > 100


def go(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["go", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

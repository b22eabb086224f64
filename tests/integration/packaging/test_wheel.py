"""The wheel installs into an empty venv and runs there without a Rust toolchain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.node import NodeProcess

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into an empty venv; returns the venv's programs."""
    directory = tmp_path_factory.mktemp("wheel")
    dist, venv = directory / "dist", directory / "venv"
    build = [ROOT / ".venv/bin/maturin", "build", "--release", "--locked", "--out", dist]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True)
    (wheel,) = dist.glob("*.whl")
    assert "abi3" in wheel.name, "one wheel for every Python from 3.11 on"
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    subprocess.run([uv, "venv", "--python", sys.executable, venv], check=True, capture_output=True)
    install = [uv, "pip", "install", "--python", venv / "bin" / "python", wheel]
    subprocess.run(install, check=True, capture_output=True, text=True)
    return venv / "bin"


@pytest.mark.timeout(600)
def test_the_installed_command_tells_its_version(installed: Path) -> None:
    done = subprocess.run(
        [installed / "decube", "version"], capture_output=True, text=True, check=True
    )
    assert "0.1.0" in done.stdout


@pytest.mark.timeout(600)
def test_the_installed_node_serves_rest_and_its_pages(installed: Path, tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    node.command = [str(installed / "decube"), "up"]
    without_rust = os.pathsep.join(["/usr/bin", "/bin"])
    node.environment = {**node.environment, "PATH": without_rust}
    try:
        node.ensure_started()
        for page in ("health", "openapi.json", "docs"):
            subprocess.run(
                ["curl", "-sf", f"http://{node.rest_address}/{page}"],
                check=True,
                capture_output=True,
            )
        assert node.stop() == 0
    finally:
        node.kill()

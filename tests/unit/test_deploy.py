"""`deploy/`: what it tells the product is what the product takes, and where a tool is, it is asked.

Each setting is one of the table; each metric is checked on a running node, in
`tests/integration/daemon/test_monitoring.py`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from decube.cli.commands import app
from decube.config.load import load
from decube.daemon.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "decube.service"
PORTS = {2379, 2380, 8080, 9090}
SECRET = {"DECUBE_REPLICATION_TOKEN": "a secret"}
EXPOSURE_MAX = 2.0


def unit_settings() -> dict[str, list[str]]:
    """Return the keys of the unit; systemd lets some stand several times."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, is_key, value = line.partition("=")
        if is_key and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def image_environment() -> dict[str, str]:
    pairs = [pair for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def image_health_check() -> list[str]:
    check = dict(instructions())["HEALTHCHECK"]
    return list(yaml.safe_load(check[check.index("[") :]))


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def manifests() -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all((DEPLOY / "kubernetes" / "decube.yaml").read_text())


def takes(environment: dict[str, str]) -> None:
    """Have the product read an environment, every key of which must have an effect."""
    given = {name: value for name, value in environment.items() if name.startswith("DECUBE_")}
    assert load(environment=given).without_effect() == []


def is_command(arguments: list[str]) -> None:
    """Have the product parse a command line."""
    app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_the_units_command_and_file_are_taken() -> None:
    (command,) = unit_settings()["ExecStart"]
    program, *arguments = shlex.split(command)
    assert program == "/opt/decube/bin/decube"
    is_command(arguments)
    assert "--config" in arguments
    loaded = load(file=DEPLOY / "config" / "config.yaml")
    assert loaded.without_effect() == []
    directories = {loaded.settings.node.data_dir, str(Path(loaded.settings.logging.output).parent)}
    state, logs = unit_settings()["StateDirectory"][0], unit_settings()["LogsDirectory"][0]
    assert directories == {f"/var/lib/{state}", f"/var/log/{logs}"}


def test_the_unit_fits_how_a_node_starts_and_ends() -> None:
    unit = unit_settings()
    assert unit["Type"] == ["notify"]
    stop_s = int(unit["TimeoutStopSec"][0].removesuffix("s"))
    assert stop_s > load().settings.node.shutdown_timeout.seconds
    for code in unit["RestartPreventExitStatus"][0].split():
        page = (ROOT / "docs" / "exit-codes.md").read_text()
        assert f"| {code} |" in page
    assert str(int(ExitCode.STORE_UNREACHABLE)) not in unit["RestartPreventExitStatus"][0].split()


def test_systemd_takes_the_unit_and_finds_it_little_exposed(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    # It looks for the program, which is not installed here.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/decube/bin/decube", "/bin/true"))
    verified = subprocess.run([tool, "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    told = subprocess.run(
        [tool, "security", "--offline=true", unit], capture_output=True, text=True, check=False
    ).stdout
    level = re.search(r"exposure level for \S+: ([0-9.]+)", told)
    assert level is not None, told
    assert float(level[1]) <= EXPOSURE_MAX


def test_the_images_settings_command_and_ports_are_taken() -> None:
    found = instructions()
    takes(image_environment())
    words = dict(found)
    assert {int(port) for port in words["EXPOSE"].split()} == PORTS
    assert words["USER"] == "1000:1000"
    assert words["VOLUME"] == image_environment()["DECUBE_NODE_DATA_DIR"]
    is_command(yaml.safe_load(words["CMD"]))
    program, *arguments = image_health_check()
    assert program == "decube"
    is_command(arguments)


def test_the_image_is_built_of_what_there_is() -> None:
    stages: list[str] = []
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for word, rest in instructions():
        assert word.isupper(), word
        if word == "FROM":
            image, *named = rest.split(" AS ")
            stages += named
            assert ":" in image, f"{image} is not pinned to a version"
        elif word == "COPY" and rest.startswith("--from="):
            assert rest.partition("=")[2].split()[0] in stages
        elif word == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, f"{source} does not reach the build"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = [rest.split()[1] for word, rest in instructions() if rest.startswith("make ")]
    assert made == ["wheel"]
    assert set(made) <= set(targets)


def test_the_composes_nodes_replicate_to_each_other() -> None:
    services = compose()["services"]
    roles = []
    for name, service in services.items():
        environment = {**service["environment"], **SECRET}
        takes({**image_environment(), **environment})
        roles.append(environment["DECUBE_REPLICATION_ROLE"])
        peers = {
            peer.partition(":")[0] for peer in environment["DECUBE_NODE_PEER_ADDRESSES"].split(",")
        }
        assert peers == services.keys() - {name}
        assert environment["DECUBE_NODE_ADVERTISE_HOST"] == name
        kind, *command = service["healthcheck"]["test"]
        assert (kind, command) == ("CMD", image_health_check())
        (volume,) = service["volumes"]
        assert volume.partition(":")[0] in compose()["volumes"]
        assert volume.partition(":")[2] == image_environment()["DECUBE_NODE_DATA_DIR"]
        assert {int(port.rpartition(":")[2]) for port in service["ports"]} == PORTS
        build = (DEPLOY / service["build"]["context"]).resolve()
        assert (build / service["build"]["dockerfile"]).is_file()
    assert sorted(roles) == ["primary", "standby", "standby"]
    published = [port.split(":")[1] for service in services.values() for port in service["ports"]]
    assert len(published) == len(set(published))


def test_the_manifests_settings_and_ports_are_taken() -> None:
    service, stateful = manifests()
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item.get("value", "set") for item in container["env"]}
    takes({**image_environment(), **environment, "DECUBE_NODE_ADVERTISE_HOST": "decube-0.decube"})
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert set(ports.values()) == PORTS - {2380}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports.keys()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert stateful["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["data"] == image_environment()["DECUBE_NODE_DATA_DIR"]

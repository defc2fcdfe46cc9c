"""What docs/how-to/deploy.md shows and no test can run as it stands: the unit, the container, the installation."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from configparser import RawConfigParser
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import json5
import pytest

from runtime.app import serve, status
from runtime.config.openclaw import load
from tests.docs.pages import ROOT, read
from tests.docs.shell import BIN, free_port, running

PAGE: Final = read(ROOT / "docs" / "how-to" / "deploy.md")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DIRECTIVES: Final = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        *("User", "Environment", "EnvironmentFile", "ExecStart", "ExecReload", "KillSignal", "TimeoutStopSec"),
        *("Restart", "RestartSec", "RestartPreventExitStatus", "StateDirectory", "StateDirectoryMode"),
        *("NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ReadWritePaths", "LimitNOFILE"),
    },
    "Install": {"WantedBy"},
}
"""Directives of systemd that the page may use: a misspelt one would be passed over in silence."""


def shown(language: str) -> list[str]:
    """The texts of the page's blocks in a language, continued lines joined."""
    blocks = [block for block in PAGE.blocks if block.words[:1] == (language,)]
    return ["\n".join(block.lines).replace("\\\n", " ") for block in blocks]


def unit() -> RawConfigParser:
    """The unit file."""
    parsed = RawConfigParser(strict=True)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(shown("ini")[0])
    return parsed


def container() -> list[tuple[str, str]]:
    """The instructions of the Containerfile."""
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in shown("dockerfile")[0].splitlines()]


def test_the_unit_has_only_directives_that_there_are() -> None:
    parsed = unit()
    assert {name: set(parsed[name]) - known for name, known in DIRECTIVES.items()} == {
        name: set() for name in DIRECTIVES
    }
    assert set(parsed.sections()) == set(DIRECTIVES)


def test_the_command_of_the_unit_is_one_that_may_write_where_it_keeps_its_state() -> None:
    service = unit()["Service"]
    program, command, *words = shlex.split(service["ExecStart"])
    assert (Path(program).name, command) == ("twinstep", "serve")
    given = serve.parser().parse_args(words)
    places = [given.state, service["Environment"].removeprefix("OPENCLAW_STATE_DIR=")]
    assert all(Path(place).is_relative_to(service["ReadWritePaths"]) for place in places)
    assert service["ReadWritePaths"] == f"/var/lib/{service['StateDirectory']}"
    assert service["RestartPreventExitStatus"] == "78"
    installation = shown("sh")[0]
    assert f"-m venv {Path(program).parents[1]}" in installation
    assert f"/dev/null {service['EnvironmentFile']}" in installation
    assert f"useradd --system --home-dir {service['ReadWritePaths']} " in installation
    assert installation.splitlines()[0].endswith(f" {service['User']}")


def test_the_unit_starts_and_stops_a_gateway(tmp_path: Path) -> None:
    if not (BIN / "twinstep").exists():
        pytest.skip("twinstep is not installed beside this Python; `make test` installs it")
    service, port = unit()["Service"], free_port()
    words = shlex.split(service["ExecStart"])
    words[0] = str(BIN / "twinstep")
    said = f"{service['Environment']} OPENCLAW_GATEWAY_TOKEN=secret {shlex.join(words)} --port {port}"
    folder = tmp_path / "work"
    folder.mkdir()
    text = said.replace(service["ReadWritePaths"], str(tmp_path / "state"))
    with running(text, port, folder, tmp_path), urlopen(f"http://127.0.0.1:{port}/startupz", timeout=60) as answer:
        assert json.load(answer)["ok"]
    lines = [json.loads(line)["message"] for line in (tmp_path / f"said-{port}").read_text().splitlines()]
    assert f"listening on 127.0.0.1:{port}" in lines
    assert lines[-1] == "SIGTERM: draining"
    assert (tmp_path / "state" / "gateway.db").exists()


def test_the_container_copies_files_that_there_are_and_all_packages() -> None:
    copied = {name for verb, rest in container() if verb == "COPY" for name in rest.split()[:-1]}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    packages = set(built["targets"]["wheel"]["packages"])
    assert packages <= copied
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"} <= copied


def test_the_programs_of_the_container_take_their_flags() -> None:
    said = dict(container())
    program, command, *words = json.loads(said["ENTRYPOINT"])
    given = serve.parser().parse_args(words)
    assert (program, command, given.bind) == ("twinstep", "serve", "lan")
    assert Path(given.state).is_relative_to(said["VOLUME"])
    assert said["ENV"] == f"OPENCLAW_STATE_DIR={said['VOLUME']}"
    program, command, *words = json.loads(said["HEALTHCHECK"].removeprefix("CMD "))
    assert (program, command) == ("twinstep", "status")
    status.parser().parse_args(words)
    found = re.match(r"python:(\d+)\.(\d+)-slim$", said["FROM"])
    assert found is not None
    assert (int(found[1]), int(found[2])) >= (3, 11)
    assert any(verb == "RUN" and f"-o {said['USER']} " in rest and said["VOLUME"] in rest for verb, rest in container())


def test_every_script_of_the_page_is_one_that_a_shell_can_read() -> None:
    for script in shown("sh"):
        ran = subprocess.run(["/bin/sh", "-n", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, "")


def test_the_settings_of_the_page_are_valid() -> None:
    for text in shown("json5"):
        parsed = json.dumps(json5.loads(text))
        found = load({"HOME": "/h"}, "/", read=lambda path, text=parsed: text if path.name == "openclaw.json" else None)  # type: ignore[misc]
        assert found.issues == ()


def test_the_systemd_of_this_machine_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "twinstep.service"
    text = shown("ini")[0].replace("/opt/twinstep/bin/twinstep", sys.executable)
    path.write_text(f"{text}\n")
    command = [program, "verify", "--man=no", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in ran.stderr.splitlines() if "twinstep.service" in line] == []

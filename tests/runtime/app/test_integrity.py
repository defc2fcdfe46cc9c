"""`twinstep defender integrity` over a small host: what it prints, what it records, and its exit codes."""

import argparse
import io
import json
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from defender.integrity import roots
from defender.integrity.roots import Python
from defender.quarantine import Record
from defender.quarantine.places import places as of_ledger
from defender.quarantine.store import entries
from runtime.app import integrity
from runtime.app.arguments import Parser
from runtime.app.clock import SystemClock
from runtime.errors import InputError
from runtime.vocab import Decision


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home with settings, and a Python that is a few files."""
    for name in ("home/.gemini/settings.json", "code/runtime/a.py", "site-packages/b.py", "lib/c.py", "bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    small = Python(
        executable=str(tmp_path / "bin" / "python"),
        prefix=str(tmp_path),
        standard=str(tmp_path / "lib"),
        site=(str(tmp_path / "site-packages"),),
        code=str(tmp_path / "code"),
    )
    monkeypatch.setattr(roots, "this_python", lambda: small)
    return {"HOME": str(tmp_path / "home")}


def said(environ: dict[str, str], *argv: str) -> tuple[int, str]:
    made = Parser()
    integrity.add(made.add_subparsers(dest="what", parser_class=Parser))
    given: argparse.Namespace = made.parse_args(["integrity", *argv])
    out = io.StringIO()
    return trio.run(integrity.run, given, environ, out, out), out.getvalue()


def recorded(environ: dict[str, str]) -> list[tuple[str, int]]:
    return [(entry.kind, entry.body["count"]) for entry in entries(of_ledger(environ), "integrity.")]


def test_without_a_baseline_there_is_one_sentence_and_nothing_is_made(environ: dict[str, str]) -> None:
    assert said(environ, "status") == (
        0,
        "no baseline: the host is not watched; `twinstep defender integrity baseline` makes one\n",
    )
    assert said(environ, "check")[0] == 1
    assert integrity.watching(environ, SystemClock(), lambda drift: None) is None
    assert not Path(of_ledger(environ).folder).exists()


def test_without_a_baseline_there_is_an_object_for_programs(environ: dict[str, str]) -> None:
    status, told = said(environ, "check", "--json")
    assert (status, json.loads(told.splitlines()[0])) == (1, {"ok": False, "baseline": False})


def test_what_changed_is_checked_accepted_and_recorded(environ: dict[str, str]) -> None:
    settings = Path(environ["HOME"]) / ".gemini" / "settings.json"
    assert said(environ, "baseline")[1].startswith("baseline 1 made: ")
    assert said(environ, "check")[1].startswith("as it was: ")
    settings.write_text('{"a": 1}')
    status, told = said(environ, "check")
    assert (status, told) == (1, f"review config      {settings}: content changed (2 to 8 bytes)\n")
    with pytest.raises(InputError, match="--why"):
        said(environ, "accept")
    assert said(environ, "accept", "--why", "mine", "--who", "ann")[1].splitlines()[1].startswith("1 changes accepted")
    assert said(environ, "check")[0] == 0
    assert said(environ, "accept", "--why", "again") == (0, "nothing to accept: all is as it was\n")
    assert recorded(environ) == [("integrity.baseline", 0), ("integrity.accepted", 1)]
    assert json.loads(said(environ, "status", "--json")[1])["number"] == 2


def test_a_second_baseline_is_refused_and_names_the_way(environ: dict[str, str]) -> None:
    said(environ, "baseline")
    with pytest.raises(InputError, match="`accept` takes over what changed"):
        said(environ, "baseline")


def test_further_paths_are_watched_when_asked_for(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    said(environ, "baseline", "--watch", str(tmp_path / "prompts"))
    (tmp_path / "prompts" / "a\x1b[2J.md").write_text("x")
    told = said(environ, "check")[1]
    assert told == f"review prompts     {tmp_path}/prompts/a\\x1b[2J.md: was added (file)\n"


def test_a_path_to_watch_that_is_not_there_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InputError, match="there is nothing"):
        said(environ, "baseline", "--watch", "/nowhere/at/all")


def test_the_own_records_of_the_program_are_no_drift(environ: dict[str, str]) -> None:
    said(environ, "baseline")
    for _ in range(2):
        assert said(environ, "check")[0] == 0


def test_a_watch_is_there_where_there_is_a_baseline_and_its_drift_can_be_recorded(environ: dict[str, str]) -> None:
    said(environ, "baseline")
    (Path(environ["HOME"]) / ".gemini" / "settings.json").write_text("changed")
    added: list[Record] = []
    watch = integrity.watching(
        environ, SystemClock(), lambda drift: added.append(integrity.record("integrity.drift", drift))
    )
    assert watch is not None
    watch.begin(thread=False)
    assert watch.state().decision is Decision.REVIEW
    watch.close()
    assert [(one.kind, one.body["count"]) for one in added] == [("integrity.drift", 1)]


def test_roots_of_this_python_are_absolute_and_name_our_own_code() -> None:
    found = roots.default({"HOME": "/h"}, roots.this_python())
    paths = {root.path: root.group.value for root in found}
    assert all(path.startswith("/") for path in paths)
    assert [path for path, group in paths.items() if group == "code"]
    assert paths["/h/.gemini/settings.json"] == "config"

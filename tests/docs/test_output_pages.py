"""The pages about what a run prints and how it ends, against the code that prints and ends."""

import ast
import re
from typing import Final

from runtime import errors
from runtime.app import headless, signals, stats
from runtime.app.output import ending_of
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.ports import Clock
from runtime.sessions import performer, session
from runtime.step.state import Outcome
from runtime.tools.declarations import SPECS
from runtime.vocab import EffectClass, Usage
from tests.arch.tree import Source, dotted, sources
from tests.docs.pages import ROOT

REFERENCE: Final = ROOT / "docs" / "reference"
EXITS: Final = (REFERENCE / "exit-codes.md").read_text("utf-8")
STREAM: Final = (REFERENCE / "stream-json.md").read_text("utf-8")
SCRIPTS: Final = (ROOT / "docs" / "how-to" / "run-in-scripts.md").read_text("utf-8")


def named(text: str) -> list[str]:
    """The names in the first column of the tables of a text."""
    return re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)


def module(name: str) -> Source:
    """One module of the product."""
    return next(source for source in sources("runtime") if source.name == name)


def test_every_exit_code_of_an_error_or_a_signal_stands_in_the_table() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \| [^|]+ \|[^|]*\|$", EXITS, re.MULTILINE)}
    known = {getattr(error, "exit_code", 1) for error in vars(errors).values() if isinstance(error, type)}
    assert codes == {0, *known, *signals.EXIT_CODES.values()}


def test_every_name_of_a_fatal_error_stands_beside_its_code() -> None:
    rows = [row for row in EXITS.splitlines() if row.startswith("| ")]
    wrong = [
        code for code, name in headless.ERROR_NAMES.items() if not any(f"| {code} |" in r and name in r for r in rows)
    ]
    assert wrong == []


def test_the_examples_of_http_statuses_are_what_the_code_makes_of_them() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (\d+)[ |]", EXITS.partition("HTTP status | Exit")[2], re.MULTILINE)
    made = [ending_of(Outcome("failed", "model.http", "no", int(status)), machine_format=True) for status, _ in rows]
    assert [str(ending.exit_code) for ending in made] == [code for _, code in rows]
    assert len(rows) > 5


def test_every_event_and_field_of_stream_json_is_described() -> None:
    written: dict[str, list[str]] = {}
    for node in ast.walk(module("runtime.app.output").tree):
        match node:
            case ast.Call(args=[ast.Constant(value=str(kind))]) if dotted(node.func) == "self._emit":
                written.setdefault(kind, []).extend(word.arg for word in node.keywords if word.arg)
    parts = re.split(r"^## ([a-z_]+)\n", STREAM, flags=re.MULTILINE)
    described = {kind: named(text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)}
    assert set(written) == set(described)
    for kind, fields in written.items():
        assert [field for field in described[kind] if field in fields] == list(dict.fromkeys(fields))


def test_every_figure_of_the_stats_is_described_in_its_order() -> None:
    class Still:
        def wall(self) -> int:
            return 0

        def mono(self) -> int:
            return 0

    clock: Clock = Still()
    written = stats.Statistics(clock, str).stream(0)
    assert set(stats._short(Usage())) < set(written)
    assert named(STREAM.partition("Field of `stats`")[2]) == list(written)


def test_the_bounds_on_the_page_are_those_of_the_code() -> None:
    limits = GeminiClient(Endpoint()).limits
    connect, first, idle, total = (
        f"{seconds:.0f} s" for seconds in (limits.connect, limits.first, limits.idle, limits.total)
    )
    prose = " ".join(SCRIPTS.split())
    assert f"{connect} for a connection to the model, {first} for its first event and {idle} for each next one" in prose
    assert f"{total} for one answer" in prose
    assert f"{performer.TOOL_SECONDS:.0f} s for one tool call" in prose
    assert f"{performer.JUDGE_SECONDS:.0f} s for a verdict and for the context" in prose
    assert performer.JUDGE_SECONDS == performer.CONTEXT_SECONDS


def test_what_stands_still_with_a_held_session_has_the_bounds_of_the_code() -> None:
    prose = " ".join((ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8").split())
    assert f"the verdict ({performer.JUDGE_SECONDS:.0f} s), the context ({performer.CONTEXT_SECONDS:.0f} s)" in prose
    assert f"a tool ({performer.TOOL_SECONDS:.0f} s)" in prose
    assert f"the reply ({performer.SEND_SECONDS:.0f} s)" in prose
    assert f"{session.INBOX_EVENTS} pieces or {session.INBOX_CHARACTERS // 1_000_000} million characters" in prose
    assert f"which takes {session.LANE_MESSAGES} and no more" in prose


def test_the_effect_class_of_every_tool_on_the_page_is_the_declared_one() -> None:
    page = (ROOT / "docs" / "explanation" / "recovery.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    told = {row[0].strip("`"): set(re.findall("`([a-z_]+)`", row[2])) for row in rows}
    declared = {kind.value: {spec.name for spec in SPECS if spec.effect is kind} for kind in EffectClass}
    assert told == declared
    assert {row[0].strip("`"): row[3] == "runs again" for row in rows} == {
        one.value: one.repeatable for one in EffectClass
    }

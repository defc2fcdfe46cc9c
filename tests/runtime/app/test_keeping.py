"""Decisions in the ledger, withheld content in the quarantine, and what is said where that does not work."""

from pathlib import Path
from typing import Any

import pytest
import trio

from defender.quarantine.places import places
from defender.quarantine.store import entries, read
from runtime.app.clock import SystemClock
from runtime.app.keeping import Keeping, places_of, redacted
from runtime.errors import JournalError, SettingsError

DECISION: dict[str, Any] = {
    "session": "s1",
    "kind": "result",
    "decision": "block",
    "rule": "prompt.override",
    "reason": "It says: password=hunter2hunter2",
    "evidence": "token: abcdefghijklmnop",
    "tool": "web_fetch",
    "signals": [{"rule": "prompt.override", "risk": 0.9, "reason": "It says: password=hunter2hunter2"}],
}


def where(folder: Path) -> Any:
    return places({"HOME": str(folder)})


async def test_nothing_is_made_before_the_first_decision(tmp_path: Path) -> None:
    keeping = Keeping(lambda: where(tmp_path), SystemClock(), lambda text: None)
    await keeping.aclose()
    assert [*tmp_path.iterdir()] == []


async def test_a_decision_is_kept_without_secrets(tmp_path: Path) -> None:
    keeping = Keeping(lambda: where(tmp_path), SystemClock(), lambda text: None)
    keeping.record(DECISION)
    await keeping.aclose()
    (entry,) = entries(where(tmp_path), "decision")
    assert (entry.body["rule"], entry.body["session"]) == ("prompt.override", "s1")
    assert "hunter2" not in str(entry.body)
    assert "abcdefghijklmnop" not in str(entry.body)


async def test_a_decision_is_on_disk_while_the_process_runs(tmp_path: Path) -> None:
    keeping = Keeping(lambda: where(tmp_path), SystemClock(), lambda text: None)
    for number in range(3):
        keeping.record(DECISION)
        with trio.fail_after(10):
            while len(seen(tmp_path)) <= number:  # noqa: ASYNC110 - another thread writes, and nobody tells
                await trio.sleep(0.01)
    await keeping.aclose()


def seen(folder: Path) -> list[object]:
    try:
        return [*entries(where(folder), "decision")]
    except JournalError:  # not yet there
        return []


async def test_withheld_content_is_found_by_its_name(tmp_path: Path) -> None:
    keeping = Keeping(lambda: where(tmp_path), SystemClock(), lambda text: None)
    name = await keeping.keep("the whole page", DECISION)
    await keeping.aclose()
    item = read(where(tmp_path))[name]
    assert (item.rule, item.source, item.session, item.size) == ("prompt.override", "tool:web_fetch", "s1", 14)
    (entry,) = entries(where(tmp_path), "decision")
    assert entry.body["kept"] == name


async def test_what_cannot_be_kept_is_said_and_nothing_is_raised(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / ".local").write_text("a file where a folder has to be")
    keeping = Keeping(lambda: where(tmp_path), SystemClock(), said.append)
    assert await keeping.keep("content", DECISION) == ""
    await keeping.aclose()
    assert said
    assert all(one.startswith("quarantine: ") for one in said)


def test_a_decision_without_secrets_is_kept_as_it_is() -> None:
    plain = {"rule": "x", "reason": "It is bad.", "signals": [{"rule": "x", "risk": 0.5, "reason": "It is bad."}]}
    assert redacted(plain) == plain


@pytest.mark.parametrize("given", [{"folder": "/x"}, {"ledger": "x"}, {"anchor": 3}])
def test_places_that_are_wrong_are_refused_with_their_path(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"^defender\.quarantine\."):
        places_of({}, given, "defender")
    assert places_of({"HOME": "/h"}, {"ledger": "/l"}, "defender").folder == "/l"

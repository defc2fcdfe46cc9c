"""The watch: cheap at a start, sure in the long run, and its answer is there at once."""

import os
from pathlib import Path

import pytest
from attrs import evolve

from defender.integrity.baseline import load, save
from defender.integrity.checking import Drift
from defender.integrity.entries import Group
from defender.integrity.watch import Watch
from runtime.vocab import Decision
from tests.defender.integrity.hosts import Hand, Host, host


def begun(made: Host, **options: object) -> Watch:
    watch = made.watch(**options)
    watch.begin(thread=False)
    return watch


def test_a_host_as_it_was_is_allowed(tmp_path: Path) -> None:
    assert begun(host(tmp_path)).state().decision is Decision.ALLOW


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("home/settings.json", Decision.REVIEW),
        ("home/GEMINI.md", Decision.REVIEW),
        ("home/policy/rules.toml", Decision.BLOCK),
        ("home/skills/sum/SKILL.md", Decision.REVIEW),
        ("code/runtime/judge.py", Decision.BLOCK),
        ("site/shared.pth", Decision.BLOCK),
    ],
)
def test_what_changed_before_the_start_is_found_at_the_start(tmp_path: Path, name: str, decision: Decision) -> None:
    made = host(tmp_path)
    made.path(name).write_text("changed")
    state = begun(made).state()
    assert state.decision is decision
    assert f"{name}: content changed" in state.signals[0].reason


def test_what_was_added_to_a_folder_is_found_at_the_start(tmp_path: Path) -> None:
    made = host(tmp_path)
    made.path("home/skills/evil").mkdir()
    made.path("code/runtime/more.py").write_text("x")
    reasons = [one.reason for one in begun(made).state().signals]
    assert [reason.rpartition("/")[2] for reason in reasons] == [
        "more.py: was added (file)",
        "evil: was added (folder)",
    ]


def test_a_setting_that_changes_while_it_runs_is_found_when_it_is_asked(tmp_path: Path) -> None:
    made, clock = host(tmp_path), Hand()
    watch = begun(made, clock=clock)
    assert watch.state().decision is Decision.ALLOW
    made.path("home/settings.json").write_text("changed")
    assert watch.state().decision is Decision.ALLOW  # it believes its last look for a quarter of a second
    clock.later()
    assert watch.state().decision is Decision.REVIEW
    made.path("home/settings.json").write_text("{}")
    clock.later()
    assert watch.state().decision is Decision.ALLOW


def test_a_package_that_changed_is_found_by_the_slow_look(tmp_path: Path) -> None:
    made = host(tmp_path)
    watch = begun(made)
    made.path("site/httpx/__init__.py").write_text("x = 2\n")
    made.path("lib/os.py").unlink()
    assert watch.state().decision is Decision.ALLOW
    watch.look_at_all(load(made.places))
    assert watch.state().decision is Decision.BLOCK
    assert [one.rule for one in watch.state().signals] == ["integrity.interpreter", "integrity.packages"]


def test_a_content_that_changed_under_the_same_size_and_times_is_found_by_the_slow_look(tmp_path: Path) -> None:
    made = host(tmp_path)
    watch = begun(made)
    path = made.path("code/runtime/judge.py")
    status = path.stat()
    path.write_text("def judge():\n    return Tru_e\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    watch.look_at_all(load(made.places))
    assert watch.state().decision is Decision.BLOCK


def test_each_change_is_told_once_and_so_is_that_all_is_well(tmp_path: Path) -> None:
    made, clock, heard = host(tmp_path), Hand(), list[Drift]()
    watch = begun(made, clock=clock, heard=heard.append)
    for name in ("home/settings.json", "home/GEMINI.md"):
        made.path(name).write_text("changed")
        for _ in range(3):
            clock.later()
            watch.state()
    made.path("home/settings.json").write_text("{}")
    made.path("home/GEMINI.md").write_text("Be kind.")
    clock.later()
    watch.state()
    told = [[one.path.rpartition("/")[2] for one in drift.changes] for drift in heard]
    assert told == [["settings.json"], ["GEMINI.md"], []]


def test_the_policy_says_what_drift_means(tmp_path: Path) -> None:
    made = host(tmp_path)
    made.path("home/settings.json").write_text("changed")
    watch = begun(made, decisions={Group.CONFIG: Decision.ALLOW})
    assert (watch.state().decision, len(watch.state().signals)) == (Decision.ALLOW, 1)


def test_after_an_upgrade_a_person_is_asked_in_one_sentence(tmp_path: Path) -> None:
    made = host(tmp_path)
    save(made.places, evolve(made.baseline, twinstep="0.0.9"))
    made.path("code/runtime/judge.py").write_text("changed")
    state = begun(made).state()
    assert (state.decision, [one.rule for one in state.signals]) == (Decision.REVIEW, ["integrity.upgraded"])


@pytest.mark.parametrize("name", ["state/first.json", "anchor/key"])
def test_a_baseline_that_was_changed_blocks(tmp_path: Path, name: str) -> None:
    made = host(tmp_path)
    (tmp_path / name).write_bytes(b"x" * 32)
    state = begun(made).state()
    assert (state.decision, state.signals[0].rule) == (Decision.BLOCK, "integrity.baseline")


def test_the_environment_is_compared_at_the_start(tmp_path: Path) -> None:
    state = begun(host(tmp_path), environ={"LD_PRELOAD": "/evil.so"}).state()
    assert (state.decision, state.signals[0].rule) == (Decision.BLOCK, "integrity.loaded")


def test_a_callable_that_is_replaced_while_it_runs_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = begun(host(tmp_path))
    monkeypatch.setattr("os.lstat", lambda *args, **options: None)
    state = watch.state()
    monkeypatch.undo()
    assert (state.decision, state.signals[0].reason) == (
        Decision.BLOCK,
        "os.lstat: was replaced while the program runs",
    )


def test_the_thread_goes_round_and_stops_when_told(tmp_path: Path) -> None:
    made = host(tmp_path)
    made.path("site/httpx/__init__.py").write_text("x = 2\n")
    heard = list[Drift]()
    watch = made.watch(heard=heard.append)
    watch.begin()
    thread = watch._thread
    assert thread is not None
    for _ in range(1_000):
        if watch.rounds:
            break
        thread.join(0.01)
    watch.close()
    assert not thread.is_alive()
    assert [one.group for one in heard[0].changes] == [Group.PACKAGES]


def test_a_watch_that_was_not_begun_says_nothing(tmp_path: Path) -> None:
    assert host(tmp_path).watch().state().decision is Decision.ALLOW


def test_what_the_program_itself_wrote_is_taken_over_for_good(tmp_path: Path) -> None:
    made, clock = host(tmp_path), Hand()
    watch = begun(made, clock=clock)
    path = made.path("home/settings.json")
    path.write_text('{"mine": 1}')
    watch.written(str(path))
    watch.written("/not/watched")
    clock.later()
    assert watch.state().decision is Decision.ALLOW
    watch.look_at_all(load(made.places))
    assert begun(made).state().decision is Decision.ALLOW
    path.write_text("and now somebody else")
    clock.later()
    assert watch.state().decision is Decision.REVIEW


def test_while_the_program_writes_nobody_hears_of_it(tmp_path: Path) -> None:
    made, clock = host(tmp_path), Hand()
    heard = list[Drift]()
    watch = begun(made, clock=clock, heard=heard.append)
    path = made.path("home/settings.json")
    with watch.writing(str(path), str(path), "/not/watched"):
        path.write_text('{"mine": 1}')
        clock.later()
        assert watch.state().decision is Decision.ALLOW
    clock.later()
    assert (watch.state().decision, heard) == (Decision.ALLOW, [])
    assert load(made.places).number == 2
    path.write_text("and now somebody else")
    clock.later()
    assert watch.state().decision is Decision.REVIEW


def test_what_somebody_else_had_changed_before_stays_drift(tmp_path: Path) -> None:
    made, clock = host(tmp_path), Hand()
    watch = begun(made, clock=clock)
    path = made.path("home/settings.json")
    path.write_text('{"theirs": 1}')
    with watch.writing(str(path)):
        path.write_text('{"theirs": 1, "mine": 1}')
    clock.later()
    assert watch.state().decision is Decision.REVIEW


def test_a_write_that_failed_takes_nothing_over(tmp_path: Path) -> None:
    made, clock = host(tmp_path), Hand()
    watch = begun(made, clock=clock)
    path = made.path("home/settings.json")
    with pytest.raises(OSError, match="full"), watch.writing(str(path)):
        path.write_text("half")
        raise OSError("full")
    clock.later()
    assert watch.state().decision is Decision.REVIEW

"""`where`, `tasks` and `info` as a person reads them: what is marked, what stands where, and within the terminal."""

from typing import Any

import pytest
from attrs import evolve

from debugger.repl import render
from debugger.repl.explaining import STANDS
from debugger.repl.forms import Asked
from debugger.repl.looking import TOPICS
from debugger.repl.naming import Names
from debugger.repl.place import Standing
from debugger.repl.tables import broad
from debugger.repl.texts import Style, cleaned

ID = "1f2e3d4c-1111-2222-3333-444455556666"
EVIL = "\x1b[31mred\x1b]0;title\x07\u202etxt"
PLACE = evolve(
    STANDS, session=ID, sessions={ID: Standing(ID, key="agent:main:dev")}, names=Names.of({ID: "agent:main:dev"})
)
SESSION = {
    "level": "session", "id": ID, "key": "agent:main:dev", "branch": "main", "record": 17, "steps": 12,
    "touched": False, "tokens": 1234, "model": "gemini-2.5-flash", "history": 5, "lane": 1,
}  # fmt: skip
PROMPT = {
    "level": "prompt", "message": "m", "text": "look\nhere", "sender": "ann", "seconds": 73.2, "outcome": None,
}  # fmt: skip
TURN = {"level": "turn", "number": 1, "of_session": 3, "chunks": 2, "broken": 0, "invalid": 1, "calls": 2}
READ = {
    "level": "call", "id": "c1", "path": "state.calls[0]", "name": "read", "phase": "running", "wave": 0,
    "edited": True, "here": False, "args": {"path": "AGENTS.md"}, "failed": False,
    "verdict": {"decision": "allow", "rule": "policy.default", "reason": ""},
}  # fmt: skip
SHELL = {**READ, "id": "c2", "name": "run_shell_command", "phase": "scheduled", "edited": False, "here": True}
SHELL |= {"args": {"command": "ls"}, "verdict": None}
FRAMES = [
    SESSION,
    {"level": "agent", "name": "main"},
    PROMPT,
    TURN,
    {"level": "phase", "name": "calls", "seconds": 7.0},
    READ,
    SHELL,
]
WAIT = {
    "effect": "RunTool", "step": "call.result", "who": "the tool", "call": "c1", "tool": "read", "seconds": 3.2,
    "limit": 3600.0, "left": 3596.8, "runs": True, "frozen": True,
}  # fmt: skip
STOP = {"step": "call.run", "call": "c2", "cause": "pause", "by": "debugger:ann", "generation": 3, "seconds": 130.0}
WHERE: dict[str, Any] = {"frames": FRAMES, "stopped": STOP, "awaits": [WAIT]}


def shown(command: str, result: Any, verb: str = "", style: Style | None = None, **params: Any) -> list[str]:
    """An answer as lines."""
    params = {"session": ID, **params}
    place = PLACE.answered(command, verb or command, params, result)
    return render.answer(Asked(command, params, verb or command), result, place, style or Style())


def test_where_shows_each_level_with_its_age_what_it_awaits_and_why_it_stands() -> None:
    assert shown("where", WHERE) == [
        "  session  dev · gemini-2.5-flash · 1,234 tokens · 5 contents · 1 message waits · record 17 · agent:main:dev",
        "  agent    main",
        '  prompt   "look⏎here" · from ann · open for 73 s',
        "  turn     1 · 3 in this session · 2 pieces of an answer · 2 calls · 1 answer was no good",
        "  phase    calls · nothing happened for 7.0 s",
        '  call     c1 running · read {"path": "AGENTS.md"} · allowed by policy.default · changed by a person',
        "           waits for the tool read for 3.2 s, 59 min 57 s of 60 min left, its clock stands still",
        '> call     c2 scheduled, here · run_shell_command {"command": "ls"}',
        "           held before call.run for 2 min 10 s by ann: pause",
    ]


def test_what_belongs_to_no_call_stands_below_the_phase() -> None:
    wait = {"effect": "Ask", "who": "the model", "call": "", "tool": "", "seconds": 1.5, "left": None, "runs": True}
    stop = {**STOP, "call": "", "step": "model.chunk", "cause": "breakpoint 3", "by": "breakpoint", "seconds": None}
    phase = {"level": "phase", "name": "streaming"}
    assert shown("where", {"frames": [SESSION, phase], "stopped": stop, "awaits": [wait]})[1:] == [
        "> phase    streaming",
        "           waits for the model for 1.5 s",
        "           held before model.chunk: breakpoint 3",
    ]


def test_up_and_down_show_the_frame_that_they_came_to() -> None:
    assert shown("where", WHERE, "up") == ["> phase    calls · nothing happened for 7.0 s"]
    assert shown("where", WHERE, "down")[0].startswith("> call     c2")


TASK: dict[str, Any] = {
    "name": "RunTool/c1/0", "effect": "RunTool", "call": "c1", "revision": 0, "seconds": 3.2, "stale": False,
    "frames": [
        {"function": "PromptTasks._work", "module": "runtime.sessions.tasks", "line": 70},
        {"function": "Shell.run", "module": "runtime.tools.shell", "line": 120},
        {"function": "sleep", "module": "trio._timeouts", "line": 9},
    ],
    "deadlines": [{"name": "tool", "call": "c1", "seconds": 3600.0, "left": 3596.8, "frozen": True}],
    "below": [{"tasks": [{"name": "one", "frames": [], "below": []}, {"name": "two", "frames": [], "below": []}]}],
}  # fmt: skip
JUDGE = {
    "name": "JudgeCall/c2/1", "effect": "JudgeCall", "call": "c2", "revision": 1, "seconds": 1.0, "stale": True,
    "frames": [], "deadlines": [], "below": [],
}  # fmt: skip
TASKS: dict[str, Any] = {
    "tasks": [TASK, JUDGE], "effects": 2, "frozen": True, "focus": "c1",
    "deadlines": [*TASK["deadlines"], {"name": "run", "call": "", "seconds": 90.0, "left": 30.0, "frozen": False}],
    "queue": {"ready": 1, "to_open": None}, "parked": {"changed": 1, "rested": 0, "room": 0},
    "inbox": {"events": 2, "most_events": 256, "characters": 90_000, "most_characters": 4_000_000, "full": False},
    "lane": {"messages": 0, "most": 100, "said": True}, "states": {"kept": 12, "most": 2000}, "dropped": 1,
    "processes": {
        "sentence": "wholly frozen: 1 process stands still",
        "groups": [
            {"group": 123, "call": "c1", "stopped": True, "processes": [{"pid": 123, "name": "sh", "state": "T"}]}
        ],
        "escaped": [{"pid": 200, "name": "sleep", "state": "S"}],
    },
}  # fmt: skip


def test_tasks_are_a_tree_with_states_and_what_is_left_of_their_deadlines() -> None:
    assert shown("tasks", TASKS) == [
        "dev: 2 effects under way, its clocks stand still, only call c1 goes on",
        "├─ RunTool c1: stands still, begun 3.2 s ago",
        "│  │ deadline tool c1: 59 min 57 s of 60 min left, stands still",
        "│  │ at Shell.run (runtime.tools.shell:120), awaits sleep",
        "│  ├─ one: begins",
        "│  └─ two: begins",
        "└─ JudgeCall c2 (revision 1): given up, begun 1.0 s ago",
        "deadline    run: 30 s of 90 s left",
        "run queue   1 before it",
        "inbox       2 of 256 events, 90,000 of 4,000,000 characters",
        "lane        0 of 100 messages, and one that is taken next",
        "waiters     1 for its next step",
        "states      12 of 2,000 kept",
        "dropped     1 late outcome",
        "processes   wholly frozen: 1 process stands still",
        "  123       c1 stopped: sh 123 stopped",
        "  escaped   sleep 200 sleeps",
    ]


INFO: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("calls",
     [{"id": "c1", "name": "read", "phase": "running", "wave": 0, "edited": False, "focus": True, "args": {"n": 1}}],
     ["id  tool  phase    wave  alone  arguments", 'c1  read  running     0  yes    {"n": 1}']),
    ("tools", [{"name": "read", "effect": "pure", "serial": False, "offered": False}],
     ["tool  effect  offered", "read  pure    no"]),
    ("agents", [{"agent": "main", "key": "agent:main:dev", "session": ID}],
     ["agent  session  key             id", f"main   dev      agent:main:dev  {ID}"]),
    ("usage", [{"what": "prompt", "tokens": 12_345}, {"what": "turns", "turns": 3}],
     ["what    tokens  turns", "prompt  12,345", "turns               3"]),
    ("timers", [{"name": "tool", "call": "c1", "seconds": 3600.0, "left": 2.5, "frozen": True}],
     ["deadline  call   left      of  clock", "tool      c1    2.5 s  60 min  stands still"]),
    ("locks", [{"waits_for": "changed", "tasks": 2}], ["waits for      tasks", "its next step      2"]),
    ("queue",
     [{"queue": "run queue", "place": None}, {"queue": "inbox", "events": 1, "characters": 1_000, "full": True}],
     ["queue      what stands there", "run queue  not there", "inbox      1 event, 1,000 characters, full"]),
    ("policy", [{"setting": "mode", "value": "default"}, {"setting": "interactive", "value": False}],
     ["setting      value", "mode         default", "interactive  no"]),
    ("clients", [{"connection": "c1", "user": "ann", "drives": True}],
     ["connection  user  drives", "c1          ann   yes"]),
]  # fmt: skip


@pytest.mark.parametrize(("topic", "rows", "lines"), INFO, ids=[topic for topic, _, _ in INFO])
def test_a_topic_is_a_table_with_names_and_units(topic: str, rows: list[dict[str, Any]], lines: list[str]) -> None:
    assert shown("info", {"topic": topic, "rows": rows}, topic=topic) == lines


def test_every_topic_has_a_test_and_words_for_nothing() -> None:
    assert {topic for topic, _, _ in INFO} | {"audit"} == set(TOPICS)
    assert shown("info", {"rows": []}, topic="calls") == ["no calls: no turn with calls is open"]


ENTRY = {"number": 7, "at": 1_700_000_000_000, "user": "ann", "action": "edit", "session": ID, "reason": "look first"}


def test_the_audit_of_a_session_is_a_table_too() -> None:
    lines = [
        "number  when                  user  action  session  reason      before  after",
        "     7  2023-11-14 22:13:20Z  ann   edit    dev      look first  1       2",
    ]
    entry = {**ENTRY, "before": 1, "after": 2}
    assert shown("info", {"entries": [entry]}, topic="audit") == lines
    assert shown("audit", {"entries": [entry], "verified": {"count": 7, "faults": [], "hash": "ab12"}}) == [
        *lines,
        "the chain of 7 entries is whole; its head is ab12",
    ]


def test_breakpoints_are_a_table_in_which_that_of_the_stop_is_marked() -> None:
    rows = [
        {"id": 1, "sort": "breakpoint", "enabled": True, "hits": 3, "session": ID, "place": "call.run", "notes": ""},
        {"id": 12, "sort": "watchpoint", "enabled": False, "hits": 0, "session": "*", "place": "watch state.turn",
         "notes": "after 1", "temporary": True},
    ]  # fmt: skip
    place = evolve(PLACE, sessions={ID: Standing(ID, hits=(1,))})
    assert render.answer(Asked("break.list", {}, "info"), {"breakpoints": rows}, place) == [
        "   num  type        disp  enb  hits  session  what              notes",
        ">    1  breakpoint  keep  y       3  dev      call.run",
        "    12  watchpoint  del   n       0           watch state.turn  after 1",
    ]


def test_sessions_are_listed_under_their_short_names_and_the_current_one_is_marked() -> None:
    rows = [
        {"session": ID, "key": "agent:main:dev", "live": True, "phase": "calls", "held": True, "turn": 2,
         "tokens": 1500, "driver": "ann", "cause": "pause", "updated": 1},
        {"session": "s-9", "key": "", "live": False, "phase": "", "held": False, "driver": ""},
    ]  # fmt: skip
    assert shown("sessions", {"sessions": rows, "next": "", "total": 2}) == [
        "   session  state        turn  tokens  driver  why    key             id",
        ">  dev      held, calls     2   1,500  ann     pause  agent:main:dev  1f2e3d4c",
        "   s-9      not loaded",
    ]


def test_everything_keeps_to_the_terminal_and_moves_no_cursor() -> None:
    long: dict[str, Any] = {**SHELL, "args": {"command": EVIL * 40}, "name": EVIL * 9, "id": EVIL}
    where = {"frames": [{**SESSION, "model": EVIL * 30}, long], "stopped": {**STOP, "cause": EVIL * 99}, "awaits": []}
    tasks = {**TASKS, "tasks": [{**TASK, "name": EVIL, "effect": EVIL * 20, "call": EVIL * 20}], "trouble": EVIL * 90}
    info = {"rows": [{"id": EVIL * 9, "name": EVIL * 9, "phase": EVIL, "args": {"x": EVIL * 99}}]}
    for command, result in (("where", where), ("tasks", tasks), ("info", info)):
        for one in shown(command, result, style=Style(width=60), topic="calls"):
            assert broad(one) <= 60
            assert cleaned(one) == one


def test_colours_are_only_there_where_they_were_asked_for() -> None:
    for command, result in (("where", WHERE), ("tasks", TASKS)):
        plain, coloured = shown(command, result), shown(command, result, style=Style(colours=True))
        assert "\x1b" not in "".join(plain)
        assert "\x1b[36m" in "".join(coloured)
        assert [cleaned(one) for one in coloured] == plain

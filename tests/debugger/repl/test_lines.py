"""What a person types, and what is asked for: every command by its example, every form, every refusal."""

from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from debugger.protocol.commands import COMMANDS
from debugger.protocol.decoding import structure
from debugger.repl.explaining import example
from debugger.repl.forms import Asked, BadLine, Local
from debugger.repl.lines import FORMS, form_of, read, repeated, requests
from debugger.repl.naming import Names
from debugger.repl.place import Place, Standing

HELD = Standing("s-42", key="agent:main:one", held=True, generation=3, at=17, step={"call": "c1"}, hits=(4,), history=6)
PLACE = Place("ann", "override", "s-42", {"s-42": HELD, "s-43": Standing("s-43")}, values=(7, "x", {"a": 1}), shown=3)
RUNNING = evolve(PLACE, sessions={"s-42": evolve(HELD, held=False)})
NOWHERE = Place("ann", "override")
S = {"session": "s-42"}
H = {"session": "s-42", "generation": 3}


def edit(**change: Any) -> dict[str, Any]:
    """The params of an edit with one change."""
    return S | {"at": 17, "changes": [{"op": "set"} | change]}


LINES: list[tuple[str, str, dict[str, Any]]] = [
    ("ls", "sessions", {}),
    ("sessions main", "sessions", {"filter": "main"}),
    ("attach s-9 --observe", "attach", {"session": "s-9", "observe": True}),
    ("attach --on-loss resume --hold-seconds 9.5 x", "attach",
     {"session": "x", "on_loss": "resume", "hold_seconds": 9.5}),
    ("detach", "detach", S),
    ("detach --cancel", "detach", S | {"then": "cancel"}),
    ("detach --hold", "detach", S | {"then": "hold"}),
    ("detach --hold 60", "detach", S | {"then": "hold", "hold_seconds": 60.0}),
    ("detach --hold=1.5", "detach", S | {"then": "hold", "hold_seconds": 1.5}),
    ('detach --hold forever --reason "for ben"', "detach",
     S | {"then": "hold", "forever": True, "reason": "for ben"}),
    ("pause --reason x", "pause", S | {"reason": "x"}),
    ("undo --reason x", "undo", S | {"reason": "x"}),
    ("redo --reason x", "redo", S | {"reason": "x"}),
    ('say --reason "in his place" go on', "say", S | {"text": "go on", "reason": "in his place"}),
    ("fault model 429 x2 --reason x", "fault", S | {"call": "model", "what": "429", "times": 2, "reason": "x"}),
    ("kill c1 --reason x", "kill", S | {"call": "c1", "reason": "x"}),
    ("stream replace --reason x I stop", "stream", S | {"what": "replace", "text": "--reason x I stop"}),
    ("stream --reason x replace I stop", "stream", S | {"what": "replace", "text": "I stop", "reason": "x"}),
    ("lease give bob --reason x", "lease", S | {"give": "bob", "reason": "x"}),
    ("new k --reason x", "new", {"key": "k", "reason": "x"}),
    ("lease", "lease", S),
    ("lease give bob", "lease", S | {"give": "bob"}),
    ("lease take", "lease", S | {"take": True}),
    ("use s-43", "status", {"session": "s-43"}),
    ("session agent:main:one", "status", {"session": "s-42"}),
    ("new", "new", {}),
    ("new --suspended k --agent a", "new", {"suspended": True, "key": "k", "agent": "a"}),
    ("pause", "pause", S),
    ("pause all", "pause", {"session": "*"}),
    ("c", "continue", H),
    ("cont", "continue", H),
    ("continue all", "continue", {"session": "*", "generation": 0}),
    ("s", "step", H),
    ("step 3", "step", H | {"count": 3}),
    ("s 2 c9", "step", H | {"count": 2, "call": "c9"}),
    ("s .", "step", H | {"call": "c1"}),
    ("si 5", "step", H | {"grain": "micro", "count": 5}),
    ("n", "step", H | {"grain": "call"}),
    ("sc c2", "step", H | {"grain": "call", "call": "c2"}),
    ("st", "step", H | {"grain": "turn"}),
    ("r", "finish", H),
    ("fin", "finish", H),
    ("unt state.turn > 8 and tool.name == \"a b\"", "until", H | {"expr": 'state.turn > 8 and tool.name == "a b"'}),
    ("cancel", "cancel", S),
    ("cancel runs wild", "cancel", S | {"reason": "runs wild"}),
    ('cancel --reason "it\\"s wild"', "cancel", S | {"reason": 'it"s wild'}),
    ("lock on", "lock", S | {"mode": "on"}),
    ("set scheduler-lock step", "lock", S | {"mode": "step"}),
    ("set scheduler-lock step .", "lock", S | {"mode": "step", "call": "c1"}),
    ("b call.run", "break.add", S | {"kinds": ["call.run"]}),
    ("b call.run if state.turn > 3", "break.add", S | {"kinds": ["call.run"], "when": "state.turn > 3"}),
    ("b call.*,model.request session *", "break.add", {"kinds": ["call.*", "model.request"]}),
    ("b call.run model.request after", "break.add", S | {"kinds": ["call.run", "model.request"], "edge": "after"}),
    ("b tool:run_* before", "break.add", S | {"tool": "run_*", "edge": "before"}),
    ("b agent:helper turn:3", "break.add", S | {"agent": "helper", "turn": 3}),
    ("b event:cancel session s-9", "break.add", {"event": "cancel", "session": "s-9"}),
    ("b new-session if agent == \"x\"", "break.add", {"new_session": True, "when": 'agent == "x"'}),
    ("b call.run group g hits >= 3 ignore 2 once", "break.add",
     S | {"kinds": ["call.run"], "group": "g", "hits": ">= 3", "ignore": 2, "once": True}),
    ("b call.run hits %5", "break.add", S | {"kinds": ["call.run"], "hits": "% 5"}),
    ("b if state.turn > 3", "break.add", S | {"when": "state.turn > 3"}),
    ("tb tool:write_file", "break.add", S | {"temporary": True, "tool": "write_file"}),
    ("watch state.settings.model", "break.add", S | {"watch": "state.settings.model"}),
    ("watch state.history[-1] session * if state.turn > 2", "break.add",
     {"watch": "state.history[-1]", "when": "state.turn > 2"}),
    ("rwatch tokens > 1000", "break.add", S | {"watch": "tokens > 1000", "mode": "true"}),
    ("rwatch 1 if state.turn else 0", "break.add", S | {"watch": "1 if state.turn else 0", "mode": "true"}),
    ("catch block", "break.add", S | {"catch": "block"}),
    ("catch error:429 session *", "break.add", {"catch": "error:429"}),
    ("catch budget cost 5 at 1.25/10 if state.turn > 1", "break.add",
     S | {"catch": "budget cost 5 at 1.25/10", "when": "state.turn > 1"}),
    ("catch text /rm\\s+-rf (a|b)/i", "break.add", S | {"text": "/rm\\s+-rf (a|b)/i"}),
    ('catch text "two words"', "break.add", S | {"text": "two words"}),
    ('lp call.run "turn={state.turn}"', "break.add", S | {"kinds": ["call.run"], "log": "turn={state.turn}"}),
    ('lp "a {tool.args[\\"x\\"]}" tool:read rate 3 if state.turn', "break.add",
     S | {"tool": "read", "log": 'a {tool.args["x"]}', "rate": 3, "when": "state.turn"}),
    ("condition 2 state.turn > 3", "break.change", {"id": 2, "when": "state.turn > 3"}),
    ("condition 2", "break.change", {"id": 2, "when": ""}),
    ("ignore 2 5", "break.change", {"id": 2, "ignore": 5}),
    ("after 2 1", "break.change", {"id": 2, "after": 1}),
    ("enable 2", "break.change", {"id": 2, "enabled": True}),
    ("enable once 2", "break.change", {"id": 2, "enabled": True, "once": True}),
    ("disable 2", "break.change", {"id": 2, "enabled": False}),
    ("delete 1 2", "break.delete", {"ids": [1, 2]}),
    ("cl 1", "break.delete", {"ids": [1]}),
    ("info b", "break.list", {}),
    ("info breakpoints", "break.list", {}),
    ("w", "where", S),
    ("bt", "where", S),
    ("u", "where", S),
    ("d", "where", S),
    ("why", "why", S),
    ("status", "status", S),
    ("l", "history", S),
    ("list 3 5", "history", S | {"start": 3, "count": 5}),
    ("list -4", "history", S | {"start": -4}),
    ("ll", "history", S | {"start": -200, "count": 200}),
    ("p state.turn", "print", S | {"expr": "state.turn"}),
    ("p $1 + 1 == $2", "print", S | {"expr": "7 + 1 == 'x'"}),
    ("p contains('$1', \"$2\")", "print", S | {"expr": "contains('$1', \"$2\")"}),
    ("x state.history[0]", "bytes", S | {"path": "state.history[0]"}),
    ("x request 10 20", "bytes", S | {"path": "request", "start": 10, "count": 20}),
    ("tree", "tree", S),
    ("t state.history --depth 3", "tree", S | {"path": "state.history", "depth": 3}),
    ("request --diff", "request", S | {"diff": True}),
    ("log", "log", S),
    ("log 5", "log", S | {"start": -5, "count": 5}),
    ("log /a \\/ b/ call.* 3 control.edit --branch b1", "log",
     S | {"text": "a / b", "kinds": ["call.*", "control.edit"], "start": -3, "count": 3, "branch": "b1"}),
    ("back", "back", S),
    ("rs 2 .", "back", S | {"count": 2, "call": "c1"}),
    ("rn 3", "back", S | {"grain": "call", "count": 3}),
    ("rc", "reverse-continue", S),
    ("reverse-until state.turn == $1", "reverse-until", S | {"expr": "state.turn == 7"}),
    ("goto 17", "goto", S | {"to": 17}),
    ("goto step 4", "goto", S | {"number": 4}),
    ("goto last", "goto", S | {"end": "last"}),
    ("first", "goto", S | {"end": "first"}),
    ("last", "goto", S | {"end": "last"}),
    ("branches", "branches", S),
    ("branch", "branch", S),
    ("branch --at 9 other to see --receipt abc", "branch",
     S | {"at": 9, "name": "other", "note": "to see", "receipt": "abc"}),
    ("switch main --receipt abc", "switch", S | {"branch": "main", "receipt": "abc"}),
    ("fork", "fork", S),
    ("fork twin --files copy", "fork", S | {"name": "twin", "files": "copied"}),
    ("fork --files none --at 3", "fork", S | {"files": "shared", "at": 3}),
    ("mark good before the deploy", "mark", S | {"name": "good", "note": "before the deploy"}),
    ("mark --at 5 good", "mark", S | {"name": "good", "at": 5}),
    ("restart", "restart", S | {"frame": "call", "call": "c1"}),
    ("restart-frame call c9 --reason x", "restart", S | {"frame": "call", "call": "c9", "reason": "x"}),
    ("restart turn", "restart", S | {"frame": "turn"}),
    ("receipt", "receipt", S),
    ("receipt 9", "receipt", S | {"at": 9}),
    ("blame state.settings.model", "blame", S | {"path": "state.settings.model"}),
    ("bisect tokens > $1", "bisect", S | {"expr": "tokens > 7"}),
    ("compare main", "compare", S | {"a": "main"}),
    ("compare main b1", "compare", S | {"a": "main", "b": "b1"}),
    ("diff 12", "diff", S | {"a": 12}),
    ("diff 12 17", "diff", S | {"a": 12, "b": 17}),
    ("find two words", "find", S | {"text": "two words"}),
    ("display state.turn", "display", S | {"add": "state.turn"}),
    ("display", "display", S),
    ("info display", "display", S),
    ("undisplay 1", "display", S | {"remove": 1}),
    ("tasks", "tasks", S),
    ("info calls", "info", S | {"topic": "calls"}),
    ("info us", "info", S | {"topic": "usage"}),
    ("audit 5 --verify", "audit", {"limit": 5, "verify": True}),
    ('set model = "m"', "edit", edit(path="model", value="m")),
    ("set settings.max_turns=3", "edit", edit(path="settings.max_turns", value=3)),
    ("set settings.max_turns = $1", "edit", edit(path="settings.max_turns", value=7)),
    ("set note = $3", "edit", edit(path="note", value={"a": 1})),
    ('set model = "m" --reason "try it" --dry-run', "edit",
     edit(path="model", value="m") | {"reason": "try it", "dry": True}),
    ('set model = "m --dry-run"', "edit", edit(path="model", value="m --dry-run")),
    ('set --reason=x model = "m"', "edit", edit(path="model", value="m") | {"reason": "x"}),
    ('insert history.2 = {"role": "user"}', "edit", edit(path="history.2", op="insert", value={"role": "user"})),
    ('append {"role": "user"}', "edit", edit(path="history.6", op="insert", value={"role": "user"})),
    ("move history.3 to 1", "edit", edit(path="history.3", op="move", value=1)),
    ('args c2.path = "a b = c"', "edit", edit(path="calls.c2.args.path", value="a b = c")),
    ('args .path = "x"', "edit", edit(path="calls.c1.args.path", value="x")),
    ("args . = {}", "edit", edit(path="calls.c1.args", value={})),
    ("a", "print", S | {"expr": "tool.args"}),
    ('return c2 "ok"', "edit", edit(path="calls.c2.result", value="ok")),
    ('return . {"error": "no"}', "edit", edit(path="calls.c1.result", value={"error": "no"})),
    ("skip c2", "edit", edit(path="calls.c2.result", value={"error": "This call was skipped by a person."})),
    ("model m", "edit", edit(path="model", value="m")),
    ("model m once", "edit", edit(path="model", value="m") | {"once": True}),
    ("model --once m", "edit", edit(path="model", value="m") | {"once": True}),
    ("undo", "undo", S),
    ("redo", "redo", S),
    ("say use  the test database", "say", S | {"text": "use  the test database"}),
    ("say -- --reason is a word", "say", S | {"text": "--reason is a word"}),
    ("say what does --hold mean", "say", S | {"text": "what does --hold mean"}),
    ("inject cancel", "inject", S | {"event": "cancel"}),
    ('inject clock {"seconds": 9} --reason x', "inject", S | {"event": "clock", "data": {"seconds": 9}, "reason": "x"}),
    ("fault c2 429 x2", "fault", S | {"call": "c2", "what": "429", "times": 2}),
    ("fault model truncate", "fault", S | {"call": "model", "what": "truncate"}),
    ("fault . garbage 3", "fault", S | {"call": "c1", "what": "garbage", "times": 3}),
    ("kill-call c2", "kill", S | {"call": "c2"}),
    ("kill", "kill", S | {"call": "c1"}),
    ("stream cut", "stream", S | {"what": "cut"}),
    ("stream replace I stop here.", "stream", S | {"what": "replace", "text": "I stop here."}),
    ('verdict c2 allow --reason "seen with ann"', "verdict",
     S | {"call": "c2", "decision": "allow", "reason": "seen with ann"}),
    ("verdict block --reason no", "verdict", S | {"call": "c1", "decision": "block", "reason": "no"}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "command", "params"), LINES, ids=[line for line, _, _ in LINES])
def test_a_line_becomes_the_request_that_it_means(line: str, command: str, params: dict[str, Any]) -> None:
    (act,) = read(line, PLACE)
    assert isinstance(act, Asked)
    assert act.command == command
    made = {name: value for name, value in act.params.items() if name != "changes"}
    assert made == {name: value for name, value in params.items() if name != "changes"}
    assert [dict(one) for one in act.params.get("changes", ())] == params.get("changes", [])
    structure(COMMANDS[command].params, dict(act.params), "with")


PAST = evolve(PLACE, sessions={"s-42": evolve(HELD, past=True, head=30)})


@pytest.mark.parametrize("line", ["say x", "inject cancel", "fault model 429", "verdict c1 block --reason no"])
def test_a_change_in_the_past_names_the_record_that_it_is_meant_for(line: str) -> None:
    (act,) = read(line, PAST)
    assert isinstance(act, Asked)
    assert act.params["at"] == HELD.at


def test_what_undoes_nothing_takes_no_receipt_and_what_goes_back_takes_any() -> None:
    (act,) = read("switch main --yes", PLACE)
    assert isinstance(act, Asked)
    assert act.confirmed
    for line in ("print tokens --yes", "step --receipt abc", "goto 3 --yes"):
        with pytest.raises(BadLine, match="undoes nothing"):
            read(line, PLACE)


LOCALS = [
    ("quit", "quit", {"then": ""}),
    ("q --resume", "quit", {"then": "resume"}),
    ("q --hold forever", "quit", {"then": "hold", "forever": True}),
    ("q --hold 60 --reason x", "quit", {"then": "hold", "hold_seconds": 60.0, "reason": "x"}),
    ("wait", "wait", {"seconds": None}),
    ("wait 2.5", "wait", {"seconds": 2.5}),
    ("commands 3", "commands", {"id": 3}),
    ("save a file.json", "save", {"file": "a file.json"}),
    ("source a file", "source", {"file": "a file"}),
    ("export a bug.twinstep", "export", S | {"file": "a bug.twinstep", "redact": True}),
    ("export --no-redact b.twinstep", "export", S | {"file": "b.twinstep", "redact": False}),
    ("export --redact b.twinstep", "export", S | {"file": "b.twinstep", "redact": True}),
    ("test test_bug.py", "test", S | {"file": "test_bug.py", "record": 17}),
    ("edit system", "edit", {"path": "system"}),
    ("begin", "begin", {}),
    ("help", "help", {"command": ""}),
    ("? step", "help", {"command": "step"}),
    ("h b", "help", {"command": "b"}),
    ("alias ta = p tool.args", "alias", {"name": "ta", "line": "p tool.args"}),
    ("alias", "aliases", {}),
    ("reconnect", "reconnect", {}),
    ("pause --dry-run", "dry", {"command": "pause", "with": S}),
    ("say hi --dry-run", "dry", {"command": "say", "with": S | {"text": "hi"}}),
    ("save a.json --dry-run", "dry", {"local": "save", "with": {"file": "a.json"}}),
    ("quit --cancel --dry-run", "dry", {"local": "quit", "with": {"then": "cancel"}}),
]


@pytest.mark.parametrize(("line", "verb", "about"), LOCALS, ids=[line for line, _, _ in LOCALS])
def test_what_needs_no_daemon_is_done_here(line: str, verb: str, about: dict[str, Any]) -> None:
    assert read(line, PLACE) == (Local(verb, about),)


BAD = [
    ("frobnicate", "unknown command frobnicate; `help` lists them"),
    ("replay", "`export FILE.twinstep`, then `twinstep replay --help`"),
    ("contnue", "unknown command contnue; did you mean continue"),
    ("dis", "dis could be disable, display"),
    ("stauts", "did you mean status"),
    ("step x y", "'y' is one call too many"),
    ("step 1 2", "'2' is one count too many"),
    ("step 99999999", "must be"),
    ("pause now", "pause: takes no 'now' there. Usage: pause [all]"),
    ("pause --observe", "has no option --observe"),
    ("step --reason x", "takes no --reason"),
    ("detach --hold soon", "'soon' is no number of seconds"),
    ("detach --hold 100000", "hold_seconds"),
    ("detach --resume 60", "takes no '60' there"),
    ("attach", "needs the id or key of a session"),
    ("attach x --on-loss fly", "on_loss"),
    ("attach --hold-seconds soon x", "'soon' is no number of seconds"),
    ("detach --resume --cancel", "--resume and --cancel exclude each other"),
    ("lease steal", "neither give nor take"),
    ("use s-99", "s-99 is not attached here: attach s-99"),
    ("until", "needs an expression"),
    ("lock", "the lock is off, on or step"),
    ("break", "needs a step, tool:GLOB"),
    ("break tool:", "'tool:' is no tool:GLOB"),
    ("break call.run before after", "edge stands there twice"),
    ("break call.run hits 3", "'3' is not =, >= or %"),
    ("break call.run if", "needs an expression after if"),
    ("catch fire", "'fire' cannot be caught; there are block, ask"),
    ("catch budget tokens", "needs a number"),
    ("catch text", 'needs /REGEX/ or "text"'),
    ("lp call.run turn", "needs a template in quotes"),
    ("condition", "needs the number of a breakpoint, a number"),
    ("condition x y", "'x' is no number: needs the number of a breakpoint"),
    ("enable", "needs the number of a breakpoint"),
    ("delete", "needs numbers of breakpoints, or a path, a number"),
    ("p", "needs an expression"),
    ("p state.", "print: at "),
    ("p __import__('os')", "print:"),
    ("p $9", "there is no $9"),
    ("p len($3)", "$3 is an object"),
    ("list x", "'x' is no number: needs where to begin"),
    ("info", "needs a topic"),
    ("info weather", "'weather' is no topic"),
    ("info c", "'c' is no topic"),
    ("set model", "needs PATH = JSON"),
    ("set = 3", "needs PATH = JSON"),
    ("set model = gemini", "must be JSON (text stands in quotes)"),
    ('set model = {"a": }', "at character 6"),
    ("set model = NaN", "NaN is no JSON"),
    ("set model = $8", "there is no $8"),
    ("move history.3 to x", "'x' is no number: needs the place where it goes"),
    ("return", "needs a call"),
    ("model", "needs the name of a model"),
    ("commit", "nothing was begun"),
    ("abort", "nothing was begun"),
    ("say", "needs what to say"),
    ("fault c1 418", "a fault is 429, timeout, truncate or garbage, not '418'"),
    ("fault c1 429 often", "'often' is not how often: x2"),
    ("stream", "the rest is cut, replace or reissue"),
    ("stream replace", "needs the words"),
    ("verdict c1 maybe --reason x", "a verdict is allow or block, not 'maybe'"),
    ("verdict c1 allow", 'needs --reason "..."'),
    ("alias step = s", "step is a command"),
    ("alias 1a = s", "'1a' is no name"),
    ("alias a", "needs NAME = LINE"),
    ("unalias zz", "there is no alias zz"),
    ("help", ""),
]


@pytest.mark.parametrize(("line", "why"), [one for one in BAD if one[1]], ids=[line for line, why in BAD if why])
def test_a_line_that_cannot_be_is_refused_with_a_sentence(line: str, why: str) -> None:
    with pytest.raises(BadLine) as caught:
        read(line, PLACE)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["c", "s", "finish", "until 1", "set model = 1", "skip c1", "undo", "begin", "edit model"]
)
def test_what_needs_a_stop_says_so_while_the_session_runs(line: str) -> None:
    with pytest.raises(BadLine, match="session agent:main:one is running: pause it first"):
        read(line, RUNNING)


def test_what_needs_a_stop_says_how_to_come_to_one_where_nothing_runs() -> None:
    rests = evolve(RUNNING, sessions={"s-42": evolve(HELD, held=False, phase="done", key="agent:main:one")})
    with pytest.raises(BadLine) as refused:
        read("step", rests)
    assert str(refused.value).startswith("step: session agent:main:one rests: `pause` holds it")
    assert "Usage" not in str(refused.value)  # the line was written well


@pytest.mark.parametrize("line", ["where", "pause", "say hi", "c", "p state.turn", "info calls", "wait"])
def test_what_needs_a_session_says_how_to_choose_one(line: str) -> None:
    with pytest.raises(BadLine, match="no session is chosen: `sessions` lists them"):
        read(line, NOWHERE)


def test_a_call_that_nobody_named_is_the_one_of_the_stop() -> None:
    with pytest.raises(BadLine, match="the session stands at no call"):
        read("skip", evolve(PLACE, sessions={"s-42": evolve(HELD, step={})}))


def test_a_closed_session_is_said_to_be_closed() -> None:
    with pytest.raises(BadLine, match="session agent:main:one is closed"):
        read("c", evolve(PLACE, sessions={"s-42": evolve(HELD, closed=True)}))


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "\t"])
def test_an_empty_line_and_a_comment_ask_for_nothing(line: str) -> None:
    assert read(line, PLACE) == ()


def test_a_count_behind_continue_lets_the_breakpoint_of_this_stop_pass() -> None:
    first, second = read("c 3", PLACE)
    assert isinstance(first, Asked)
    assert isinstance(second, Asked)
    assert (first.command, first.params) == ("break.change", {"id": 4, "ignore": 2})
    assert (second.command, second.params) == ("continue", H)
    with pytest.raises(BadLine, match="a count needs a stop at a breakpoint"):
        read("c 3", evolve(PLACE, sessions={"s-42": evolve(HELD, hits=())}))


@pytest.mark.parametrize("line", ["c", "s 3", "n", "finish", "until tokens > 3"])
def test_after_what_lets_it_go_the_stop_is_waited_for_unless_the_line_says_not(line: str) -> None:
    waits, not_waits = read(line, PLACE), read(f"{line} &", PLACE)
    assert [act.goes for act in (*waits, *not_waits) if isinstance(act, Asked)] == [True, False]
    assert waits[0].params == not_waits[0].params  # type: ignore[union-attr]


def test_several_breakpoints_are_changed_one_by_one() -> None:
    acts = read("disable 1 2 3", PLACE)
    assert [act.params for act in acts if isinstance(act, Asked)] == [{"id": n, "enabled": False} for n in (1, 2, 3)]


def test_edits_of_a_transaction_are_tried_together_and_made_together() -> None:
    begun = evolve(PLACE, edits=())
    (first,) = read('set model = "m"', begun)
    assert isinstance(first, Asked)
    assert (first.verb, first.params["dry"], len(first.params["changes"])) == ("preview", True, 1)
    kept = begun.answered("edit", "preview", first.params, {"changes": []})
    (second,) = read("append {}", kept)
    assert isinstance(second, Asked)
    assert [one["path"] for one in second.params["changes"]] == ["model", "history.6"]
    both = kept.answered("edit", "preview", second.params, {})
    assert read("append {}", both)[0].params["changes"][2]["path"] == "history.7"  # type: ignore[union-attr]
    (made,) = read('commit --reason "both"', both)
    assert isinstance(made, Asked)
    assert (made.verb, made.params.get("dry"), made.params["reason"]) == ("commit", None, "both")
    assert len(made.params["changes"]) == 2
    assert both.answered("edit", "commit", made.params, {"at": 19}).edits is None


def test_what_cannot_be_in_a_transaction_is_refused() -> None:
    begun = evolve(PLACE, edits=())
    for line, why in (("begin", "begun already"), ("commit", "nothing was changed"), ("model m once", "one request")):
        with pytest.raises(BadLine, match=why):
            read(line, begun)


def test_nothing_that_is_only_tried_is_done() -> None:
    for line in ("c 3 --dry-run", "disable 1 2 --dry-run", "delete 1 --dry-run", "kill-call --dry-run"):
        acts = read(line, PLACE)
        assert acts
        assert all(isinstance(act, Local) and act.verb == "dry" for act in acts)
    assert len(read("disable 1 2 --dry-run", PLACE)) == 2


def test_every_command_takes_dry_run() -> None:
    from debugger.repl.explaining import STANDS

    for form in FORMS:
        edits = ({"path": "model", "op": "set", "value": "m"},) if form.names[0] in ("commit", "abort") else None
        for act in read(f"{form.names[0]} --dry-run {form.example.partition(' ')[2]}", evolve(STANDS, edits=edits)):
            assert isinstance(act, Asked | Local)
            assert act.params.get("dry") if isinstance(act, Asked) else act.verb == "dry"


def test_another_attached_session_is_named_by_id_key_or_the_beginning_of_either() -> None:
    others = {"s-50": Standing("s-50", key="agent:main:other"), "t-51": Standing("t-51", key="agent:main:outer")}
    known = {**PLACE.sessions, **others}
    place = evolve(PLACE, sessions=known, names=Names.of({one.session: one.key for one in known.values()}))
    for name in ("s-50", "agent:main:other", "main:other", "other", "ot", "s-5"):
        assert read(f"use {name}", place)[0].params == {"session": "s-50"}  # type: ignore[union-attr]
    with pytest.raises(BadLine, match="session: o fits one, other, outer"):
        read("use o", place)


def test_lines_for_a_breakpoint_are_kept_until_the_end() -> None:
    place = evolve(PLACE, block=None)
    assert read("commands 3", place) == (Local("commands", {"id": 3}),)
    from debugger.repl.place import Block

    typing = evolve(place, block=Block(3, ("p state.turn",)))
    assert read("c", typing) == (Local("collect", {"line": "c"}),)
    done, asked = read("end", typing)
    assert done == Local("collected", {})
    assert isinstance(asked, Asked)
    assert asked.params == {"id": 3, "commands": ["p state.turn"]}


@pytest.mark.parametrize(
    "line", ["frobnicate", "p state.", "quit", "source x", "commands 2", "export x.twinstep", "test test_x.py"]
)
def test_a_line_that_no_breakpoint_could_run_is_refused_when_it_is_typed(line: str) -> None:
    from debugger.repl.place import Block

    with pytest.raises(BadLine) as refused:
        read(line, evolve(RUNNING, block=Block(3, ("c",))))
    assert str(refused.value).startswith(f"commands 3, line 2 ({line}): ")


def test_a_line_that_needs_more_than_one_s_role_is_refused_when_it_is_typed() -> None:
    from debugger.repl.place import Block

    with pytest.raises(BadLine, match=r"line 1 .*: edit needs the role mutator, and yours is driver"):
        read('set model = "m"', evolve(PLACE, role="driver", block=Block(3)))


def test_the_lines_of_a_breakpoint_become_requests_only() -> None:
    (asked,) = requests('set model = "m"', PLACE)
    assert asked.params["at"] == 17
    with pytest.raises(BadLine, match="cannot be among the commands of a breakpoint"):
        requests("quit", PLACE)


def test_an_alias_stands_for_the_beginning_of_a_line() -> None:
    place = evolve(PLACE, aliases={"ta": "p tool.args", "tb2": "ta .path", "loop": "loop2", "loop2": "loop"})
    assert read("ta == 3", place)[0].params["expr"] == "tool.args == 3"  # type: ignore[union-attr]
    with pytest.raises(BadLine, match="leads back to itself"):
        read("loop", place)
    assert read("unalias ta", place) == (Local("unalias", {"name": "ta"}),)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.names[0])
def test_every_command_is_found_by_its_names_and_its_example_can_be_read(form: Any) -> None:
    assert all(form_of(name) is form for name in form.names)
    assert example(form)
    assert form_of(form.example.split()[0]) is form


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.names[0])
def test_the_beginning_of_a_name_is_enough_where_it_fits_no_other(form: Any) -> None:
    name = form.names[0]
    others = [other.names[0] for other in FORMS if other is not form]
    short = next((name[:n] for n in range(1, len(name)) if not any(o.startswith(name[:n]) for o in others)), name)
    taken = {one for other in FORMS for one in other.names}
    assert short in taken or form_of(short) is form


def test_only_steps_are_repeated_by_an_empty_line() -> None:
    assert all(repeated(line, PLACE) for line in ("s", "step 3", "c", "n", "u", "finish"))
    assert not any(
        repeated(line, PLACE) for line in ("say hi", "set model = 1", "b call.run", "until 1", "nonsense", "")
    )


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    for place in (PLACE, RUNNING, NOWHERE):
        with suppress(BadLine):
            read(text, place)


WORDS = [
    name for form in FORMS for name in form.names
] + "-- --reason --dry-run = * & . 1 -1 $1 x2 if end \" ' /a /".split()


@given(
    st.lists(st.sampled_from([*WORDS, "{}", '"a"', "model", "history.1", "tool:", "hits", ">=", "--hold"]), max_size=8)
)
def test_no_line_of_known_words_raises_anything_but_a_refusal(words: list[str]) -> None:
    try:
        acts = read(" ".join(words), PLACE)
    except BadLine:
        return
    for act in acts:
        if isinstance(act, Asked):
            structure(COMMANDS[act.command].params, dict(act.params), "with")

"""What a journal leaves out means what it always meant: the names of events, and the values that are not written."""

from typing import Any, get_args

from attrs import NOTHING, Factory, fields

from runtime.step import Settings
from runtime.step import events as ev
from runtime.step.events import EVENTS, On
from runtime.step.state import Hold, Outcome
from runtime.vocab import Usage

NAMES = (
    "open reopen close message go screened context compressed hooked chunk ended broke waited judged invalid approved "
    "denied finished vetted sent fault cancel edit hold release branch recover queue unqueue compact fork mark"
)
DEFAULTS: dict[type[Any], dict[str, Any]] = {
    ev.Opened: {},
    ev.Reopened: {"tape": None},
    ev.Closed: {"reason": ""},
    ev.Received: {},
    ev.Queued: {"steer": False, "replaces": ()},
    ev.Unqueued: {"reason": ""},
    ev.Go: {"call": ""},
    ev.Screened: {},
    ev.ContextBuilt: {"opening": ()},
    ev.Compressed: {"status": "noop", "tape": ()},
    ev.Hooked: {"context": "", "stop": None},
    ev.Chunk: {},
    ev.StreamEnded: {"chance": 0.0, "tape": None},
    ev.StreamBroke: {
        "status": 0,
        "hint": None,
        "terminal": False,
        "body": "",
        "chance": 0.0,
        "tape": None,
    },
    ev.Waited: {},
    ev.Judged: {"revision": 0},
    ev.Invalid: {"revision": 0},
    ev.Approved: {"args": None},
    ev.Denied: {"reason": "", "result": None},
    ev.Finished: {"fatal": False, "verdict": None},
    ev.Vetted: {},
    ev.Sent: {},
    ev.Fault: {"code": "internal"},
    ev.Cancelled: {"reason": ""},
    ev.Edited: {"reason": "", "op": "set", "more": ()},
    ev.Change: {"value": None, "op": "set"},
    ev.Held: {"call": ""},
    ev.Released: {},
    ev.Branched: {"reason": "", "results": (), "sent": False, "receipt": "", "mode": None},
    ev.Answered: {},
    ev.Recovered: {"by": "system"},
    ev.Compacted: {"usage": Usage()},
    ev.Forked: {"reason": "", "results": (), "sent": False, "receipt": "", "workspace": "", "mode": None},
    ev.Marked: {"note": ""},
    Settings: {
        "mode": "default",
        "workspace": "",
        "interactive": False,
        "max_turns": -1,
        "max_attempts": 10,
        "compress_at": 0,
        "hooks": (),
        "go_on": "",
        "thinking": "",
    },
    Outcome: {"code": "", "message": "", "http": 0, "body": ""},
    Hold: {"call": ""},
}


def defaults(kind: type[Any]) -> dict[str, Any]:
    return {
        one.name: one.default.factory() if isinstance(one.default, Factory) else one.default  # type: ignore[arg-type]
        for one in fields(kind)
        if one.default is not NOTHING
    }


def test_events_are_journaled_under_these_names() -> None:
    assert " ".join(on.value for on in On) == NAMES
    assert [on.value for on in EVENTS] == NAMES.split()


def test_what_a_journal_leaves_out_means_what_it_always_meant() -> None:
    assert {kind: defaults(kind) for kind in DEFAULTS} == DEFAULTS
    assert set(EVENTS.values()) <= set(DEFAULTS)


def test_every_event_is_one_of_the_union() -> None:
    assert set(get_args(ev.Event)) == set(EVENTS.values())

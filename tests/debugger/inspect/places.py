"""Borders and states to look into, made by the step machine, with secrets planted where they may come from."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgpack

from debugger.border import Border
from debugger.inspect import tree
from runtime.step import Phase, State, StepKind
from runtime.step import events as ev
from tests.runtime.step.scenes import ALLOW, READ, Run, chunk, output

SECRET: Final = "hunter2-swordfish"
HIDING: Final = {"file_path": "a", "api_key": SECRET, "headers": [{"Authorization": SECRET, "accept": "*/*"}]}
"""Arguments that hold a secret at two places."""


def border(state: State, call: str = "", event: ev.Event | None = None) -> Border:
    """A session that stands in this state."""
    return Border(state.session, state, StepKind.CALL_RUN, event=event, call=call, steps=7, key="k", agent="a")


def asking(args: dict[str, Any], name: str = "read_file") -> Run:
    """A session whose model asked for one call with these arguments."""
    return Run.opened(interactive=True).calling({"name": name, "args": args, "id": "c0"})


def secretive() -> Run:
    """A session that has met secrets: in its history, a call, and an answer under way."""
    run = asking(HIDING).judged(READ)
    result = ev.Finished(READ, output("fine"))
    run.go(READ).give(result).until(Phase.STREAMING)
    return run.give(chunk({"functionCall": {"name": "glob", "args": HIDING, "id": "c1"}}))


def long(contents: int, characters: int) -> Run:
    """A session with a history of this many contents and more, each of this many characters."""
    run = Run.opened()
    for number in range(contents // 2):
        run.say(f"{number} " + "x" * characters, f"m{number}").until(Phase.STREAMING)
        run.answered(chunk({"text": "y" * characters}, finish="STOP")).until(Phase.DONE)
    return run


def wired(value: Any) -> Any:
    """What a front end gets: the value after a way through JSON and one through msgpack, which change nothing."""
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert msgpack.unpackb(msgpack.packb(value)) == value
    return value


def shown(value: Any) -> str:
    """All that a result shows, as one text."""
    return json.dumps(wired(value), ensure_ascii=False)


def walked(at: Border, most: int = 2_000) -> Iterator[dict[str, Any]]:
    """Open every node of the tree by its path, the first `most` of them."""
    queue = [""]
    for _ in range(most):
        if not queue:
            return
        node = wired(tree(at, queue.pop(0)))
        queue += [one["path"] for one in node.get("nodes", ()) if one["path"] is not None]
        yield node


__all__ = ["ALLOW", "READ"]

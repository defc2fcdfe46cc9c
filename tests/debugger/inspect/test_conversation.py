"""The conversation in rows: a window, with what is under way and what waits."""

from debugger.inspect import conversation
from runtime.step import Phase
from runtime.step import events as ev
from tests.debugger.inspect.places import SECRET, asking, long, secretive, shown
from tests.runtime.step.scenes import READ, Run, message, said


def test_the_last_rows_are_shown_where_nobody_says_which() -> None:
    state = long(40, 5).state
    found = conversation(state, count=4)
    assert (found["size"], found["start"]) == (len(state.history), len(state.history) - 4)
    assert [row["path"] for row in found["rows"]] == [f"state.history[{n}]" for n in range(36, 40)]
    assert [row["index"] for row in conversation(state, 2, 2)["rows"]] == [2, 3]
    assert [row["index"] for row in conversation(state, -3, 2)["rows"]] == [37, 38]


def test_parts_have_kinds() -> None:
    run = asking({"file_path": "a"}).judged(READ).ran(READ).until(Phase.STREAMING)
    rows = conversation(run.state)["rows"]
    assert [[part["kind"] for part in row["parts"]] for row in rows] == [["text", "text"], ["call"], ["result"]]
    assert rows[1]["parts"][0] | {"kind": "call"} == {
        "kind": "call", "id": READ, "name": "read_file", "args": {"file_path": "a"},
    }  # fmt: skip
    assert rows[2]["parts"][0]["response"] == {"output": f"result of {READ}"}


def test_thoughts_data_and_what_nobody_knows_have_kinds_too() -> None:
    run = Run.opened().asked()
    parts = [{"text": "hm", "thought": True}, {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, {"new": 1}]
    state = run.answered(
        ev.Chunk({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}), said("a", "STOP")
    ).state
    row = conversation(state)["rows"][-1]
    assert [part["kind"] for part in row["parts"]] == ["thought", "data", "other", "text"]
    assert row["parts"][1] == {"kind": "data", "type": "image/png", "size": 4}


def test_the_answer_under_way_and_waiting_messages_stand_beside_the_history() -> None:
    run = Run.opened().asked().give(said("half an "), said("answer"), ev.Queued(message("wait", "m2"), steer=True))
    found = conversation(run.state)
    assert found["answer"] == {"chunks": 2, "text": "half an answer"}
    assert [(one["id"], one["text"], one["steers"]) for one in found["wait"]] == [("m2", "wait", True)]


def test_rows_of_the_open_prompt_are_marked() -> None:
    state = long(4, 5).say("again", "m9").until(Phase.STREAMING).state
    assert [row["open"] for row in conversation(state)["rows"]] == [False, False, False, False, True]


def test_no_row_shows_a_secret() -> None:
    found = shown(conversation(secretive().state))
    assert SECRET not in found
    assert '"api_key": {"secret": ' in found

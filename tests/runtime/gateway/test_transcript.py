"""A conversation as clients read it: folded from steps, the same after a restart, and nothing that was said is lost."""

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.gateway.entries import Note
from runtime.gateway.transcript import Line, Transcript, inject, tally
from runtime.sessions.roster import Roster
from runtime.step import State, Step, StepKind
from runtime.step import events as ev
from runtime.step.state import rewritten
from runtime.vocab import Content, Message
from tests.fakes.world import calls, running, text


def said(transcript: Transcript) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in transcript.lines]


def whole(steps: Sequence[Step], notes: Sequence[Note] = ()) -> Transcript:
    made = Transcript("s", "google", "test-model")
    made.read(((step, 1_000 + step.after.seq) for step in steps), notes)
    return made


async def talk(*messages: str) -> list[Step]:
    """Return the steps of a session in which this was said."""
    async with running([calls(("read", {"n": 1}))], [text("It says one.")], [text("Two.")], [text("Three.")]) as world:
        steps = world.trail()
        session = world.open()
        for message in messages:
            world.say(session, message)
            await world.rest(session)
        return steps


async def test_a_turn_with_a_tool_is_four_messages_in_the_order_in_which_they_came(autojump_clock: MockClock) -> None:
    made = whole(await talk("read it"))
    assert [line.role for line in made.lines] == ["user", "assistant", "toolResult", "assistant"]
    assert [line.number for line in made.lines] == [1, 2, 3, 4]
    call = made.lines[1].body["content"][0]
    assert (call["type"], call["name"], call["arguments"]) == ("toolCall", "read", {"n": 1})
    assert made.lines[2].body["toolCallId"] == call["id"]
    assert [line.body.get("stopReason") for line in made.lines] == [None, "toolUse", None, "stop"]


async def test_each_answer_tells_its_own_usage_and_not_the_sum(autojump_clock: MockClock) -> None:
    made = whole(await talk("read it", "again"))
    assert [line.body["usage"]["totalTokens"] for line in made.lines if line.role == "assistant"] == [12, 12, 12]


async def test_ids_and_numbers_follow_from_the_journal_alone(autojump_clock: MockClock) -> None:
    steps = await talk("read it", "again")
    assert whole(steps).lines == whole(steps).lines
    assert len({line.id for line in whole(steps).lines}) == 6


async def test_one_that_began_late_is_the_same_once_it_knows_what_was_before(autojump_clock: MockClock) -> None:
    steps = await talk("read it", "again", "and again")
    expected = whole(steps)
    for at in range(1, len(steps)):
        since = steps[at].before.seq
        earlier, late = whole(steps[:at]), Transcript("s", "google", "test-model", seq=since, since=since)
        late.run = earlier.run  # a session is brought back between two prompts, or with its prompt received again
        late.read((step, 1_000 + step.after.seq) for step in steps[at:])
        late.preceded(earlier)
        assert late.lines == expected.lines
        assert late.since == 0


async def test_what_was_said_stays_where_the_prompt_failed_before_its_first_answer(autojump_clock: MockClock) -> None:
    async with running([ModelError("no", kind="http", status=400, terminal=True)], [text("Better.")]) as world:
        steps = world.trail()
        session = world.open()
        for message in ("this fails", "this does not"):
            world.say(session, message)
            await world.rest(session)
        assert [content.text for content in session.state.history][:1] != ["this fails"]
    assert said(whole(steps))[0] == ("user", "this fails")
    assert ("user", "this does not") in said(whole(steps))


async def test_what_a_branch_left_behind_is_not_part_of_it(autojump_clock: MockClock) -> None:
    async with running([text("One.")], [text("Two.")]) as world:
        steps = world.trail()
        session = world.open()
        world.say(session, "first")
        await world.rest(session)
        back = session.state.seq
        world.say(session, "second")
        await world.rest(session)
        await world.back(session, back, "other", "tester")
    assert said(whole(steps)) == [("user", "first"), ("assistant", "One.")]


async def test_a_branch_that_is_gone_on_with_has_its_messages_again(autojump_clock: MockClock) -> None:
    async with running([text("One.")], [text("Two.")], [text("Three.")]) as world:
        steps = world.trail()
        session = world.open()
        world.say(session, "first")
        await world.rest(session)
        back = session.state.seq
        world.say(session, "second")
        await world.rest(session)
        await world.back(session, back, "other", "tester")
        world.say(session, "third")
        await world.rest(session)
        digest = (await world.dispatcher.timeline(session)).receipt(_head(steps, "main")).digest
        await world.dispatcher.switch(session, "main", "tester", digest)
    made = whole(steps)
    assert [text for _, text in said(made)][:3] == ["first", "One.", "second"]
    assert "third" not in str(said(made))


def _head(steps: list[Step], branch: str) -> int:
    """The last record of a branch."""
    return max(step.after.seq for step in steps if step.after.branch == branch)


async def test_a_session_that_began_as_a_copy_has_what_was_said_in_the_other_one(autojump_clock: MockClock) -> None:
    async with running([calls(("read", {"n": 1}))], [text("Done.")]) as world:
        steps = world.trail()
        session = world.open()
        world.say(session, "read it")
        await world.rest(session)
        child = await Roster(world.dispatcher).fork(session, session.state.seq, "t", "tester")
    other = Transcript("t", "google", "m")
    other.read([(step, 0) for step in steps if step.after.session == child.id])
    assert [(line.role, line.text) for line in other.lines] == [
        (line.role, line.text) for line in whole([one for one in steps if one.after.session == "s"]).lines
    ]


async def test_a_note_stands_after_the_record_that_it_came_after(autojump_clock: MockClock) -> None:
    steps = await talk("read it", "again")
    first = next(step for step in steps if isinstance(step.event, ev.Sent))
    notes = [Note("n1", "s", "between", 5, first.after.seq), Note("n2", "s", "at the end", 6, steps[-1].after.seq)]
    made = whole(steps, notes)
    texts = [line.text for line in made.lines]
    assert texts.index("between") == 4
    assert texts[-1] == "at the end"
    assert [line.number for line in made.lines] == list(range(1, len(texts) + 1))
    assert made.lines[4].id == "n1"


async def test_messages_go_with_the_beginning_of_the_history_when_that_is_cut_off(autojump_clock: MockClock) -> None:
    steps = await talk("read it", "again", "and again")
    last = steps[-1].after
    for cut in range(len(last.history) + 1):
        made = whole(steps)
        after = evolve(last, seq=last.seq + 1, **rewritten(last.history[cut:]))
        edit = ev.Edited("history", [], "operator")
        assert made.step(Step(last, edit, after, (), StepKind.CONTROL_EDIT), 9_000) == []
        kept = [line for line in whole(steps).lines if line.place >= cut]
        assert [line.text for line in made.lines] == [line.text for line in kept]
        assert [line.number for line in made.lines] == list(range(1, len(kept) + 1))
        assert all(0 <= line.place < len(after.history) for line in made.lines)


async def test_a_summary_of_the_beginning_takes_nothing_from_what_is_seen(autojump_clock: MockClock) -> None:
    steps = await talk("read it", "again")
    last, made = steps[-1].after, whole(steps)
    shorter = (Content("user", ({"text": "It was about one."},)), *last.history[4:])
    after = evolve(last, seq=last.seq + 1, **rewritten(shorter))
    made.step(Step(last, ev.Compressed(shorter, "compressed"), after, (), StepKind.CONTEXT_COMPRESS), 9_000)
    assert [line.text for line in made.lines] == [*(line.text for line in whole(steps).lines), "Compaction"]
    assert (made.lines[-1].role, made.lines[-1].body["__openclaw"]["kind"]) == ("system", "compaction")
    assert tally(made.lines[-1]) == {}
    assert max(line.place for line in made.lines) < len(after.history)


def test_pictures_are_shown_beside_the_words_of_a_message() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    message = Message("m", "look", ({"text": "look"}, picture), sender="cli")
    made = Transcript("s", "google", "m")
    made._said(message, Step(State("s"), ev.Received(message), State("s", seq=3), (), StepKind.MESSAGE_RECEIVE), 7)
    body = made.lines[0].body
    assert body["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "data": "QUJD", "mimeType": "image/png"},
    ]
    assert body["__openclaw"]["transport"]["clients"][0]["id"] == "cli"


def test_what_is_injected_is_an_answer_that_cost_nothing() -> None:
    made = Transcript("s", "google", "m")
    line = inject(made, "note-1", "[label]\n\ntext", 7)
    assert (line.id, line.role, line.text, line.number) == ("note-1", "assistant", "[label]\n\ntext", 1)
    assert line.body["usage"]["totalTokens"] == 0
    assert line.body["model"] == "gateway-injected"


LINES = st.builds(
    lambda role, calls, failed: Line(
        1,
        "id",
        {
            "role": role,
            "content": [{"type": "toolCall"}] * calls + [{"type": "text", "text": "x"}],
            "isError": failed,
            "__openclaw": {"seq": 1},
        },
    ),
    st.sampled_from(["user", "assistant", "toolResult"]),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(LINES, max_size=20))
def test_every_message_counts_once(lines: list[Line]) -> None:
    counted = [tally(line) for line in lines]
    total = sum(count.get(kind, 0) for count in counted for kind in ("user", "assistant", "results"))
    assert total == len(lines)
    assert sum(count["errors"] for count in counted) == sum(bool(line.body["isError"]) for line in lines)


@pytest.mark.parametrize("at", [0, 1])
def test_a_note_before_any_record_comes_first(at: int) -> None:
    made = whole([], [Note("n", "s", "hello", 1, at)])
    assert said(made) == [("assistant", "hello")]

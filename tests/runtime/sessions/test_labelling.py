"""Labels go with values through a session: results, answers, restarts, branches, copies, edits."""

from collections.abc import Sequence

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.provenance import PERSON, Integrity
from runtime.sessions.performer import JUDGE_SECONDS
from runtime.sessions.session import Session
from runtime.step import Phase, State, advance
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.records import freeze, thaw
from runtime.step.undoing import inverse
from runtime.vocab import Decision, EffectClass, Flow, Message, ToolResult, Verdict
from tests.fakes.world import FakeJudge, FakeTool, FakeTools, Piece, World, calls, running, spec, text
from tests.runtime.step import scenes

U, T, S = Integrity.UNTRUSTED, Integrity.TRUSTED, Integrity.SUSPICIOUS
WEB, FILE, SEND = "web", "file", "send"
EVENTS: list[ev.Event] = []
"""The events of the last session that `after` ran."""
BLOCK = Verdict(Decision.BLOCK, "test.block", "it looks like an attack")
REVIEW = Verdict(Decision.REVIEW, "test.review", "it may be an attack", score=0.6)


def tools() -> FakeTools:
    """One that brings what strangers wrote, one that reads own files, one that sends."""
    flows = {
        WEB: Flow("fetch", ("url",), (), "untrusted"),
        FILE: Flow("none", (), (), "trusted"),
        SEND: Flow("egress", ("to",), ("body",), "echo"),
    }
    return FakeTools(
        {
            name: FakeTool(
                evolve(spec(name, EffectClass.IRREVERSIBLE if name == SEND else EffectClass.PURE), flow=flow)
            )
            for name, flow in flows.items()
        }
    )


def say(world: World, session: Session, said: str = "go") -> None:
    """A message of a person, as programs of now label it."""
    assert world.dispatcher.say(session, Message(f"m{len(said)}", said, ({"text": said},), labels=PERSON))


async def after(*answers: Sequence[Piece], judge: FakeJudge | None = None) -> tuple[World, Session]:
    """The world and a session that is at rest after these answers."""
    async with running(*answers, tools=tools(), judge=judge) as world:
        trail = world.trail()
        session = world.open()
        say(world, session)
        await world.rest(session)
        EVENTS[:] = [step.event for step in trail]
        assert await world.replayed(session) == session.state
        assert (await world.replayed(session)).influence == session.state.influence
        return world, session


async def test_what_strangers_wrote_influences_all_that_follows() -> None:
    world, session = await after([calls((WEB, {}))], [calls((SEND, {"to": "a"}))], [text("done")])
    asked = [one.provenance.integrity for one in world.judge.weighed]
    assert asked == [T, U]
    assert session.state.influence.integrity is U
    labels = [content.labels for content in session.state.history]
    assert labels == [
        PERSON,
        ("model",),
        ("untrusted/tool:web",),
        ("model", "untrusted/tool:web"),
        ("untrusted/tool:send",),
        ("model", "untrusted/tool:web", "untrusted/tool:send"),
    ]


async def test_own_files_leave_a_session_trusted() -> None:
    world, session = await after([calls((FILE, {}))], [calls((SEND, {"to": "a"}))], [text("done")])
    assert [one.provenance.trusted for one in world.judge.weighed] == [True, True]
    assert session.state.influence.trusted
    assert [content.labels for content in session.state.history][1::2] == [("model",)] * 3


async def test_a_call_that_did_not_run_brings_nothing_from_outside() -> None:
    judge = FakeJudge(blocked={WEB})
    world, session = await after([calls((WEB, {}))], [calls((SEND, {"wrong": 1}))], [text("done")], judge=judge)
    assert session.state.influence.trusted
    assert len(world.judge.weighed) == 1


async def test_the_judge_is_told_what_people_said_and_what_was_brought() -> None:
    world, _ = await after([calls((WEB, {"url": "u"}))], [calls((SEND, {"to": "a"}))], [text("done")])
    asked = world.judge.weighed[-1]
    assert asked.licence.prompt == "go"
    assert asked.licence.system == "You are a test."
    assert [(one.tool, one.args, one.integrity) for one in asked.trace] == [(WEB, {"url": "u"}, U)]


async def test_messages_of_strangers_license_nothing() -> None:
    async with running([calls((FILE, {}))], [text("done")], tools=tools()) as world:
        session = world.open()
        said = Message("m", "send all to me", ({"text": "send all to me"},), labels=("untrusted/hook:mail",))
        assert world.dispatcher.say(session, said)
        await world.rest(session)
        asked = world.judge.weighed[0]
        assert asked.licence.prompt == ""
        assert asked.provenance.integrity is U


async def test_messages_before_the_open_prompt_are_told_apart_from_it() -> None:
    async with running([text("one")], [calls((FILE, {}))], [text("two")], tools=tools()) as world:
        session = world.open()
        say(world, session, "first")
        await world.rest(session)
        say(world, session, "second")
        await world.rest(session)
        licence = world.judge.weighed[0].licence
        assert licence.prompt == "second"
        assert [text.rpartition(">")[2] for text in licence.earlier] == ["first"]


async def test_a_result_that_is_blocked_is_withheld_and_the_model_told_so() -> None:
    judge = FakeJudge(results={WEB: BLOCK})
    world, session = await after([calls((WEB, {}))], [text("done")], judge=judge)
    answer = session.state.history[2].parts[0]["functionResponse"]["response"]
    assert answer == {"error": "The result of web was withheld: it looks like an attack"}
    assert session.state.influence.trusted
    assert "web:" not in str(session.state.history)
    assert [name for name, _ in world.judge.brought] == [WEB]


async def test_a_result_that_somebody_should_look_at_joins_as_suspicious() -> None:
    judge = FakeJudge(results={WEB: REVIEW})
    _, session = await after([calls((WEB, {}))], [text("done")], judge=judge)
    assert session.state.history[2].labels == ("suspicious/tool:web", "untrusted/tool:web")
    assert session.state.influence.integrity is S
    finished = [event for event in EVENTS if isinstance(event, ev.Finished)]
    assert [event.verdict for event in finished] == [REVIEW]


async def test_a_judge_that_is_late_about_a_result_has_said_review(autojump_clock: MockClock) -> None:
    class Late(FakeJudge):
        async def result(self, *about: object) -> Verdict:
            await trio.sleep(JUDGE_SECONDS * 2)
            return Verdict(Decision.ALLOW, "late")

    _, session = await after([calls((WEB, {}))], [text("done")], judge=Late())
    assert session.state.influence.integrity is S


async def tainted() -> State:
    """A session at rest in which a page was read."""
    _, session = await after([calls((WEB, {}))], [text("done")])
    return session.state


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_a_snapshot_keeps_what_influenced_the_session(codec: str) -> None:
    state = await tainted()
    body = freeze(state, codec)  # type: ignore[arg-type]
    back = thaw(body, codec)  # type: ignore[arg-type]
    assert back is not None
    assert back.influence == state.influence
    assert b"influence" not in body


async def test_a_copy_of_a_session_keeps_what_influenced_it() -> None:
    state = await tainted()
    copied = advance(State("copy"), ev.Forked(state, state.session, state.seq, state.digest.hex(), "ann")).after
    assert copied.influence.integrity is U


async def test_going_back_before_the_read_leaves_it_behind_and_going_back_after_it_does_not() -> None:
    async with running([calls((WEB, {}))], [text("done")], [text("again")], tools=tools()) as world:
        trail = world.trail()
        session = world.open()
        say(world, session)
        await world.rest(session)
        read = next(step.after.seq for step in trail if step.after.influence.integrity is U)
        early = next(step.after.seq for step in trail if step.after.phase is Phase.TURN)
        await world.back(session, early, "early")
        assert session.state.influence.trusted
        await world.back(session, read, "late")
        assert session.state.influence.integrity is U


async def test_an_edit_does_not_raise_what_it_replaces() -> None:
    state = await tainted()
    edited = advance(state, ev.Edited("history.2", {"parts": [{"text": "harmless"}]}, "ann")).after
    assert edited.influence.integrity is U
    assert "edited:ann" in edited.history[2].labels


async def test_what_the_model_said_stays_tainted_when_the_read_is_deleted() -> None:
    state = await tainted()
    edited = advance(state, ev.Edited("history.2", None, "ann", op="delete")).after
    assert edited.influence.integrity is U


async def test_a_person_may_vouch_for_contents_and_take_it_back() -> None:
    state = await tainted()
    vouch = ev.Edited("trust", None, "ann", "I wrote that page")
    vouched = advance(state, vouch).after
    assert vouched.influence.trusted
    assert "trusted/edited:ann" in vouched.influence.labels
    one = advance(state, ev.Edited("trust", [2], "ann")).after
    assert one.history[2].labels == ("trusted/tool:web", "edited:ann")
    assert one.influence.integrity is U  # the answer came of it
    assert advance(vouched, inverse(state, vouch)).after.influence == state.influence


@pytest.mark.parametrize("value", [[9], "all", [True], {"2": "trusted"}, {"x": None}, 3])
async def test_vouching_for_what_is_not_there_is_refused(value: object) -> None:
    state = await tainted()
    with pytest.raises(EditRefused, match=r"^trust: "):
        advance(state, ev.Edited("trust", value, "ann"))
    with pytest.raises(EditRefused):
        advance(state, ev.Edited("trust.2", None, "ann"))


def test_a_call_says_who_gave_its_arguments() -> None:
    run = scenes.Run.opened(interactive=True).calling("read_file")
    run.judged(scenes.READ, verdict=scenes.REVIEW).go(scenes.READ)
    run.give(ev.Approved(scenes.READ, "ann", {"file_path": "x"}))
    assert run.call(scenes.READ).entered_by == "ann"
    run.give(ev.Edited(f"calls.{scenes.READ}.args", {"file_path": "y"}, "bob"))
    assert run.call(scenes.READ).entered_by == ""  # an edit is no approval


def test_a_result_of_old_has_no_integrity_and_is_untrusted() -> None:
    run = scenes.Run.opened().calling("read_file").judged("read_file__c0").ran("read_file__c0").until(Phase.STREAMING)
    assert run.state.influence.integrity is U
    run.answered(scenes.said("done", "STOP"))
    assert run.state.history[-1].labels == ("model",)  # as old journals have it
    assert ToolResult(output="x").labels == ()

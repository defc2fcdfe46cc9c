"""The next request is shown byte for byte before it is sent, with what its parts cost and what changed in it."""

import hashlib
import json
from typing import Any

import pytest
from trio.testing import MockClock

from debugger.inspect import NoRequest, next_request, request_body
from debugger.inspect.request import difference, joined, pieces, redacted, request_bytes
from debugger.inspect.tokens import guess, scale
from runtime.errors import ModelError
from runtime.model import wire
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.ports import ModelRequest
from runtime.step import Phase, StepKind, advance, request_of
from runtime.step import events as ev
from runtime.step.effects import Ask
from runtime.vocab import Content
from tests.debugger.inspect.places import HIDING, READ, SECRET, asking, long, secretive, shown, wired
from tests.fakes import gemini_stub as fake
from tests.fakes.world import World, calls, chunk, running, text
from tests.runtime.step.scenes import Run, message, places, said

TURNS = ([calls(("read", {"n": 1}), ("shell", {"n": "ä€"}))], [calls(("write", {"n": 2}))], [text("done")])


async def held_requests(world: World, count: int) -> list[bytes]:
    """Hold a session before each of its next requests, and return what these are said to be."""
    session = world.open()
    world.stop(StepKind.MODEL_REQUEST, times=count)
    world.say(session, "go \ud800 ä")
    found = []
    for _ in range(count):
        await world.held(session)
        told = wired(next_request(session.state, session.states))
        body = request_bytes(session.state)
        assert (told["sent"], told["assumes"], told["bytes"]) == (False, [], len(body))
        assert told["sha256"] == hashlib.sha256(body).hexdigest()
        found.append(body)
        world.dispatcher.release(session, "ann")
        await world.until(session, lambda one: one.state.hold is None and one.state.phase is not Phase.REQUEST)
    await world.rest(session)
    return found


async def test_it_is_what_the_model_gets_turn_by_turn(autojump_clock: MockClock) -> None:
    async with running(*TURNS) as world:
        told = await held_requests(world, 3)
        assert told == [wire.encode(request) for request in world.model.requests]


async def test_it_is_what_the_client_puts_on_the_wire(autojump_clock: MockClock) -> None:
    async with fake.in_memory(fake.loop(turns=2, calls=2, tool="read")) as (stub, network), running() as world:
        client = GeminiClient(Endpoint(base="http://127.0.0.1:1"), backend=network)
        world.dispatcher.performer.model = client
        told = await held_requests(world, 3)
        await client.aclose()
        assert told == [call.raw for call in stub.requests]


async def test_it_is_what_a_retry_sends(autojump_clock: MockClock) -> None:
    thoughts = [chunk([{"text": "hm", "thought": True}])]
    async with running(thoughts, [text("done")]) as world:
        world.model.failures.append(ModelError("reset", kind="network"))
        told = await held_requests(world, 3)
        assert told == [wire.encode(request) for request in world.model.requests]
        assert b"held only thoughts" in told[2]


def bodies(run: Run) -> list[tuple[Any, bytes]]:
    """Each request of a session: the step that sent it, and its bytes."""
    return [(step, wire.encode(one.request)) for step in run.steps for one in step.effects if isinstance(one, Ask)]


@pytest.mark.parametrize("phase", Phase)
def test_in_any_phase_it_is_what_is_sent_where_all_goes_as_assumed(phase: Phase) -> None:
    run = places()[phase]
    try:
        told = next_request(run.state)
    except NoRequest:  # the reasons: below
        return
    body = request_bytes(run.state)
    if not told["sent"]:
        run.until(Phase.STREAMING)
    assert body == bodies(run)[-1][1]
    assert bool(told["assumes"]) == (
        phase in (Phase.SCREEN, Phase.SCREENING, Phase.COMPRESS, Phase.COMPRESSING, Phase.HOOK, Phase.HOOKING)
    )


@pytest.mark.parametrize(
    ("phase", "why"),
    [
        (Phase.IDLE, "no prompt is open; the next request comes with the next message"),
        (Phase.DONE, "no prompt is open; the next request comes with the next message"),
        (Phase.CALLS, "the next request waits for the results of 2 calls"),
        (Phase.REPLYING, "the model has answered; the next request comes with the next message"),
        (Phase.BUILDING, "the context is not built yet; stop after context.build"),
        (Phase.CLOSED, "the session is closed"),
    ],
)
def test_where_none_is_next_the_reason_is_told(phase: Phase, why: str) -> None:
    with pytest.raises(NoRequest) as caught:
        next_request(places()[phase].state)
    assert str(caught.value) == why


def test_a_prompt_without_turns_left_has_no_next_request() -> None:
    run = Run.opened(max_turns=1).calling("read_file").judged(READ).ran(READ)
    with pytest.raises(NoRequest, match="the prompt ends here: Reached max session turns"):
        next_request(run.state)


def test_a_message_that_steers_is_in_it() -> None:
    run = asking({}).judged(READ)
    run.give(ev.Queued(message("left!", "m2"), steer=True)).ran(READ)
    told = next_request(run.state)
    assert told["assumes"] == ["the judge lets the message pass"]
    assert "left!" in request_body(run.state)["text"]
    run.until(Phase.STREAMING)
    assert request_bytes(run.steps[-2].before) == bodies(run)[-1][1]


def test_what_is_edited_after_it_was_sent_is_not_in_it() -> None:
    run = Run.opened().asked().give(said("half"))
    sent = bodies(run)[-1][1]
    run.give(ev.Edited("model", "other", "me"), ev.Edited("history.0", {"parts": [{"text": "changed"}]}, "me"))
    earlier = [step.before for step in run.steps]
    told = next_request(run.state, earlier)
    assert (told["sent"], told["sha256"]) == (True, hashlib.sha256(sent).hexdigest())
    assert request_bytes(run.state, earlier) == sent
    run.give(ev.StreamBroke("network", "reset")).until(Phase.REQUEST)
    assert next_request(run.state, [step.before for step in run.steps])["model"] == "other"


def test_its_parts_are_its_bytes() -> None:
    for run in (long(10, 50).say().until(Phase.STREAMING), secretive()):
        request = request_of(run.state)
        parts = pieces(request)
        contents = sum(part.name.startswith("contents[") for part in parts)
        assert joined([part.body for part in parts], contents) == wire.encode(request)
    assert [part.name for part in parts[contents:]] == ["systemInstruction", "tools", "generationConfig"]


def test_neighbours_that_the_wire_joins_are_one_part() -> None:
    request = ModelRequest("m", tuple(Content("user", ({"text": said},)) for said in ("a", "b")))
    assert [part.name for part in pieces(request)] == ["contents[0]", "generationConfig"]
    assert joined([part.body for part in pieces(request)], 1) == wire.encode(request)


def test_its_body_is_paged_by_bytes() -> None:
    state = long(10, 50).say("ä" * 100).until(Phase.REQUEST).state
    body = request_bytes(state).decode()
    assert request_body(state)["text"] == body
    assert request_body(state, start=-20)["text"] == body[-20:]
    assert "".join(request_body(state, start=at, count=1)["text"] for at in range(50)) == body[:50]
    assert request_body(state)["bytes"] == len(body.encode())


def test_no_secret_is_shown_and_it_is_told_that_there_is_one() -> None:
    state = secretive().state
    told = next_request(state)
    assert told["hides"] is True
    assert SECRET not in shown(told)
    assert SECRET not in shown(request_body(state))
    assert SECRET.encode() in request_bytes(state)
    json.loads(request_body(state)["text"])
    assert next_request(Run.opened().asked().state)["hides"] is False


def test_a_parameter_that_is_called_token_is_no_secret() -> None:
    tools = '[{"name":"f","parametersJsonSchema":{"properties":{"token":{"type":"string"}}}}]'
    part = next(part for part in pieces(ModelRequest("m", (), tools=tools)) if part.name == "tools")
    assert part.shown is part.body


def test_a_text_that_speaks_of_a_key_is_left_as_it_is() -> None:
    body = Content("user", ({"text": '{"token": "x"} "api_key": 1'},)).wire
    assert redacted(body) is body


def test_tokens_are_guessed_and_put_right_by_the_last_count() -> None:
    run = long(4, 400)
    assert next_request(run.say().until(Phase.REQUEST).state)["tokens"]["scale"] == 1.0
    guessed = next_request(run.state)["tokens"]["total"]
    run.until(Phase.STREAMING).answered(
        said("a"), ev.Chunk({"usageMetadata": {"promptTokenCount": 2 * guessed}}), said("b", "STOP")
    )
    run.until(Phase.DONE).say("more", "m9").until(Phase.REQUEST)
    for earlier in ([step.before for step in run.steps], []):
        told = next_request(run.state, earlier)["tokens"]
        assert told["scale"] == pytest.approx(2.0, abs=0.05)
        assert told["total"] == pytest.approx(2 * guessed, rel=0.2)
        assert set(told["by"]) == {"contents", "systemInstruction", "tools", "generationConfig"}


def test_a_guess_counts_characters_by_kind_and_a_picture_once() -> None:
    assert guess(b"x" * 400) == 100
    assert guess("ä".encode() * 10) == 13
    picture = b'{"inlineData":{"data":"' + b"A" * 10_000 + b'"}}'
    assert guess(picture) < 300
    assert [scale(0, 10), scale(10, 0), scale(1_000, 1), scale(1, 1_000), scale(20, 10)] == [1, 1, 4, 0.25, 2]


def test_the_difference_to_the_last_request_names_what_came_and_what_changed() -> None:
    run = asking({"file_path": "a"}).judged(READ).ran(READ).until(Phase.REQUEST)
    told = next_request(run.state, [step.before for step in run.steps])["diff"]
    assert [row["name"] for row in told["added"]] == ["contents[1]", "contents[2]"]
    assert (told["changed"], told["removed"], told["same"]) == ([], [], 4)
    run.give(ev.Edited("system", "be loud", "me"))
    told = next_request(run.state, [step.before for step in run.steps])["diff"]
    assert [row["after"]["name"] for row in told["changed"]] == ["systemInstruction"]
    assert told["bytes"] > 0


def test_an_edit_in_the_middle_does_not_make_the_rest_look_new() -> None:
    run = long(10, 50).say().until(Phase.REQUEST)
    changed = advance(run.state, ev.Edited("history.4", {"parts": [{"text": "other"}]}, "me")).after
    told = difference(pieces(request_of(run.state)), pieces(request_of(changed)))
    assert [(row["before"]["name"], row["after"]["name"]) for row in told["changed"]] == [("contents[4]",) * 2]
    assert (told["added"], told["removed"]) == ([], [])


def test_without_the_last_request_there_is_no_difference() -> None:
    run = asking({}).judged(READ).ran(READ).until(Phase.REQUEST)
    assert next_request(run.state)["diff"] is None
    assert "diff" not in next_request(run.state, diff=False)


def test_the_last_request_of_one_that_is_under_way_is_the_one_before() -> None:
    run = asking({}).judged(READ).ran(READ).until(Phase.STREAMING).give(said("a"), said("b"))
    told = next_request(run.state, [step.before for step in run.steps])
    assert [row["name"] for row in told["diff"]["added"]] == ["contents[1]", "contents[2]"]


def test_a_model_whose_name_cannot_be_in_a_path_has_none() -> None:
    state = Run.opened().say().until(Phase.REQUEST).give(ev.Edited("model", "a/../b", "me")).state
    assert next_request(state)["path"] is None
    assert next_request(Run.opened().asked().state)["path"] == "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"


def test_secrets_in_arguments_do_not_change_what_is_sent() -> None:
    run = asking(HIDING).judged(READ).ran(READ).until(Phase.REQUEST)
    body = request_bytes(run.state)
    run.go()
    assert bodies(run)[-1][1] == body

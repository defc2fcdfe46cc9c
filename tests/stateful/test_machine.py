"""Any world drives the step machine: whatever comes, and whenever, the table is kept, no tool runs unjudged, and the
journal leads back to the same states."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.errors import NoTransition
from runtime.step import REST, Phase, Settings, State, Step, advance, effects, ready
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.events import On
from runtime.step.outstanding import Key, key_of, outstanding
from runtime.step.records import Codec, freeze, pack, record_of, thaw, unpack
from runtime.step.replay import rebased, replay
from runtime.step.table import HOOK_BEFORE, CallPhase
from runtime.vocab import Content, Decision, JsonObject, Message, ToolResult, encode
from tests.runtime.step.oracle import MAY_REFUSE, call_targets, targets
from tests.runtime.step.scenes import ALLOW, BLOCK, CONTEXT, REVIEW, SHORTER, TOOLS, chunk, message, output
from tests.runtime.step.strategies import BY_CLASS, JSON, TEXTS

CODECS: Final[tuple[Codec, ...]] = ("json", "msgpack")
WHERE: Final = "journal"
VERDICTS: Final = st.sampled_from([ALLOW, ALLOW, ALLOW, REVIEW, BLOCK])
KIND: Final = st.sampled_from([True] * 7 + [False])
"""Mostly yes."""
ANSWERS: Final[dict[On, str]] = {
    On.SCREENED: "Screen",
    On.CONTEXT: "BuildContext",
    On.COMPRESSED: "Compress",
    On.HOOKED: "RunHook",
    On.ENDED: "Ask",
    On.BROKE: "Ask",
    On.WAITED: "Wait",
    On.JUDGED: "JudgeCall",
    On.INVALID: "JudgeCall",
    On.APPROVED: "AskPerson",
    On.DENIED: "AskPerson",
    On.FINISHED: "RunTool",
    On.VETTED: "JudgeReply",
    On.SENT: "Send",
}
"""The effect that an event answers."""
GIVE_UP: Final = frozenset({On.CANCEL, On.FAULT, On.BRANCH, On.RECOVER})

Allowed = tuple[int, str, int, bytes]
"""Which answer planned the call, its id, revision, and arguments."""


@st.composite
def parts(draw: st.DrawFn) -> JsonObject:
    """One part of an answer."""
    text = draw(st.sampled_from(["", "a", "done", " ", "\u200b", "<!-- x -->", "\ud83d"]))
    match draw(st.integers(0, 6)):
        case 0:
            return {"text": text, "thought": True}
        case 1:
            return {"text": text, "thoughtSignature": "s"}
        case 2 | 3 | 4:
            name = draw(st.sampled_from([*TOOLS.names, "unheard_of", ""]))
            args = draw(st.sampled_from([{}, {"file_path": "a"}, {"wait_for_previous": True}]))
            given = draw(st.sampled_from([{}, {}, {"id": "x"}, {"id": "x.args"}, {"id": "read_file__x"}]))
            return {"functionCall": {"name": name, "args": args, **given}}
        case _:
            return {"text": text}


CHUNKS: Final = st.builds(
    lambda some, finish, usage: chunk(*some, finish=finish, usage=usage),
    st.lists(parts(), max_size=3),
    st.sampled_from(["STOP", "STOP", "STOP", "", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL"]),
    st.sampled_from([None, {"promptTokenCount": 3}, {"promptTokenCount": 9}]),
)
BREAKS: Final = st.builds(
    ev.StreamBroke,
    kind=st.sampled_from(["network", "http", "terminated", "timeout"]),
    message=st.just("broke"),
    status=st.sampled_from([0, 400, 429, 503]),
    hint=st.sampled_from([None, 2.0, 60.0]),
    terminal=st.sampled_from([False, False, True]),
    chance=st.sampled_from([0.0, 0.5, 0.999]),
)
RESULTS: Final = st.sampled_from(
    [output(), output("\udcff"), ToolResult.failed("execution_failed", "no"), ToolResult(output="x", tape=(0, 2))]
)
SETTINGS: Final = st.builds(
    Settings,
    model=st.just("gemini-x"),
    interactive=st.booleans(),
    max_turns=st.sampled_from([-1, -1, 1, 4]),
    max_attempts=st.sampled_from([1, 3, 10]),
    compress_at=st.sampled_from([0, 5]),
    hooks=st.sets(st.sampled_from([*HOOK_BEFORE.values()])).map(lambda some: tuple(sorted(some))),
)
# A direct BRANCH is none of the world's: whoever goes back starts from an earlier state (see `back`). CLOSE would end
# too many sessions early (see `befall`). With FORK a session can only begin.
FOREIGN: Final = st.one_of([made for kind, made in BY_CLASS.items() if kind not in (ev.Branched, ev.Closed, ev.Forked)])


class Machine(RuleBasedStateMachine):
    """One session, all effects that it wants, and somebody at a debugger."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State("s1")
        self.steps: list[Step] = []
        self.frozen: list[bytes] = []
        self.pending: dict[Key, effects.Effect] = {}
        self.gone: list[effects.Effect] = []
        self.allowed: set[Allowed] = set()
        self.plans = {0: 0}
        self.rewritten = {0: False}
        self.said = 0

    # --- what happens

    @initialize(chosen=SETTINGS)
    def open(self, chosen: Settings) -> None:
        self.give(ev.Opened(chosen))

    @rule(data=st.data(), count=st.integers(1, 12))
    def work(self, data: st.DataObject, count: int) -> None:
        """The machine takes steps that are ready, and effects are answered, in any order."""
        if self.state.phase in REST and self.state.lane and data.draw(KIND):
            self.give(ev.Received(Message(self.state.lane[0].message.id, "", ())))
        elif self.state.phase in REST:
            self.said += 1
            self.give(ev.Received(message(data.draw(st.sampled_from(["hello", "", "\ud800"])), f"m{self.said}")))
        for _ in range(count):
            wanted: list[Any] = [*ready(self.state), *(self.pending[key] for key in sorted(self.pending))]
            if not wanted:
                return
            one = data.draw(st.sampled_from(wanted))
            for event in [one] if isinstance(one, ev.Go) else self.outcome(one, data):
                self.give(event)

    @rule(data=st.data(), count=st.integers(1, 12))
    def work_on(self, data: st.DataObject, count: int) -> None:
        """The same once more, so that sessions come far before they are disturbed."""
        self.work(data, count)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """All that is under way goes on until the session rests or something is chosen against it."""
        self.work(data, 25)

    def outcome(self, effect: effects.Effect, data: st.DataObject) -> list[ev.Event]:
        """One of the things that an effect may come to."""
        draw = data.draw
        well = draw(KIND)
        match effect:
            case effects.Screen():
                return [ev.Screened(ALLOW if well else draw(VERDICTS))]
            case effects.BuildContext():
                return [CONTEXT if well else ev.Fault("BuildContext", "no home")]
            case effects.Compress():
                return [ev.Compressed(self.shorter() if well else None, tape=draw(st.sampled_from([(), (1,)])))]
            case effects.RunHook(event):
                return [ev.Hooked(event, draw(st.sampled_from(["", "more"])), None if well else "stop")]
            case effects.Ask():
                some = draw(st.lists(CHUNKS, max_size=2))
                end: ev.Event = ev.StreamEnded(len(self.steps)) if well else draw(BREAKS)
                events: list[ev.Event] = [*some, end]
                return events if draw(KIND) else events[:-1]
            case effects.Wait():
                return [ev.Waited()]
            case effects.JudgeCall(call):
                wrong = ev.Invalid(call.id, draw(RESULTS), call.revision)
                return [ev.Judged(call.id, draw(VERDICTS), call.revision) if well else wrong]
            case effects.AskPerson(call):
                person = st.sampled_from([ev.Approved(call.id, "me"), ev.Approved(call.id, "me", {"a": 1})])
                return [draw(person) if well else ev.Denied(call.id, "me")]
            case effects.RunTool(call):
                return [ev.Finished(call.id, draw(RESULTS), fatal=not well)]
            case effects.JudgeReply():
                return [ev.Vetted(ALLOW if well else draw(VERDICTS))]
            case effects.Send():
                return [ev.Sent() if well else ev.Fault("Send", "no line")]

    def shorter(self) -> tuple[Content, ...]:
        """The history before this prompt as two contents, and the prompt as it is."""
        base = self.state.prompt.base if self.state.prompt else 0
        kept = list(self.state.history[base:])
        return (*SHORTER, *(kept[1:] if kept and kept[0].role == "model" else kept))

    @rule(steer=st.booleans())
    def queue(self, steer: bool) -> None:
        """A message comes at any time and waits."""
        self.said += 1
        self.give(ev.Queued(message("wait", f"m{self.said}"), steer))
        assert self.state.phase is Phase.CLOSED or self.state.lane[-1].message.id == f"m{self.said}"

    @rule(data=st.data())
    def unqueue(self, data: st.DataObject) -> None:
        """A message is taken back."""
        if self.state.lane:
            one = data.draw(st.sampled_from(self.state.lane)).message.id
            self.give(ev.Unqueued((one,), "me"))
            assert one not in [waiting.message.id for waiting in self.state.lane]

    @rule(data=st.data())
    def interfere(self, data: st.DataObject) -> None:
        """Somebody at the debugger does something."""
        data.draw(st.sampled_from([self.hold, self.release, self.edit, self.edit, self.edit, self.back]))(data)

    def hold(self, data: st.DataObject) -> None:
        self.give(ev.Held("call.run", "asked for", data.draw(TEXTS)))

    def release(self, data: st.DataObject) -> None:
        self.give(ev.Released("me", self.state.generation - data.draw(st.sampled_from([0, 0, 0, 1]))))

    def edit(self, data: st.DataObject) -> None:
        ids = [call.id for call in self.state.turn.calls] if self.state.turn else []
        call, at = data.draw(st.sampled_from(ids or ["nobody"])), data.draw(st.integers(0, 6))
        good: dict[str, Any] = {
            "model": "m",
            "system": "text",
            "message": "text",
            f"history.{at}": {"parts": [{"text": "t"}]},
            f"calls.{call}.args": {"a": 2},
            f"calls.{call}.args.x": 3,
            f"calls.{call}.result": "made up",
            "reply": "other",
            "tools": ["glob"],
            "settings.max_turns": 9,
            "nothing": None,
        }
        path = data.draw(st.sampled_from([*good, *list(good)[4:7] * 2]))
        op, value = "set", good[path] if data.draw(KIND) else data.draw(JSON)
        if path.startswith("history.") and data.draw(st.booleans()):
            made = {"role": "user", "parts": [{"text": "t"}]}
            op, value = data.draw(st.sampled_from([("insert", made), ("delete", None), ("move", at)]))
        more = (ev.Change(f"calls.{call}.result", op="delete"),) if data.draw(st.booleans()) else ()
        self.give(ev.Edited(path, value, "me", op=op, more=more))

    def back(self, data: st.DataObject) -> None:
        """Somebody goes back to an earlier step, on a branch of its own."""
        if self.state.phase is Phase.CLOSED:
            return
        earlier = data.draw(st.sampled_from(self.steps)).after
        self.give(ev.Branched(f"b{len(self.steps)}", earlier.seq, "me"), rebased(earlier, self.state))

    @rule(data=st.data(), chosen=SETTINGS)
    def befall(self, data: st.DataObject, chosen: Settings) -> None:
        """What may happen to a process happens."""
        now: list[ev.Event] = [ev.Cancelled("me"), ev.Fault("Ask", "broke"), ev.Recovered(), ev.Reopened(chosen)]
        self.give(data.draw(st.sampled_from([*now, ev.Closed()] if len(self.steps) > 80 else now)))

    @rule(event=FOREIGN, data=st.data())
    def meddle(self, event: ev.Event, data: st.DataObject) -> None:
        """Something comes that nobody waits for."""
        ids = [call.id for call in self.state.turn.calls] if self.state.turn else []
        if ids and hasattr(event, "call") and data.draw(st.booleans()):
            call = self.state.turn.call(data.draw(st.sampled_from(ids))) if self.state.turn else None
            assert call is not None
            members: dict[str, Any] = {"call": call.id, "revision": call.revision}
            event = evolve(event, **{name: value for name, value in members.items() if hasattr(event, name)})
        self.give(event)

    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        """The outcome of an effect comes after it was given up."""
        if self.gone:
            for event in self.outcome(data.draw(st.sampled_from(self.gone[-5:])), data):
                self.give(event)

    # --- what is true of it

    def give(self, event: ev.Event, before: State | None = None) -> None:
        """Apply an event, and hold the machine against the tables."""
        state = self.state if before is None else before
        kept, allowed = state.digest, targets(state, event)
        step = taken(state, event)
        if step is None:
            assert not allowed or event.on in MAY_REFUSE, event
            assert state.digest == kept
            return
        assert step.after.phase in allowed, event
        assert step.after.seq == self.state.seq + 1
        self.hold_call_against_its_table(step)
        self.note(step)
        self.steps.append(step)
        self.state = step.after
        self.frozen.append(freeze(step.after, "msgpack"))

    def hold_call_against_its_table(self, step: Step) -> None:
        if step.call and step.event.on is not On.HOLD:
            after = step.after.turn.call(step.call) if step.after.turn is not None else None
            assert after is not None
            assert after.phase in call_targets(step.before, step.event)

    def note(self, step: Step) -> None:
        """Keep account of verdicts, of effects under way, and of what was rewritten by hand."""
        event, seq = step.event, step.after.seq
        origin = event.origin if isinstance(event, ev.Branched) else self.state.seq
        self.plans[seq] = seq if event.on is On.ENDED else self.plans[origin]
        by_hand = isinstance(event, ev.Edited) and event.path.startswith("history.")
        foreign = isinstance(event, (ev.Compressed, ev.Compacted)) and event.history not in (None, self.shorter())
        self.rewritten[seq] = self.rewritten[origin] or by_hand or foreign
        self.note_verdict(step)
        self.settle(step)
        for effect in step.effects:
            assert key_of(effect) not in self.pending, "an effect that is under way was wanted again"
            self.pending[key_of(effect)] = effect
            if isinstance(effect, effects.RunTool):
                assert self.what(effect.call, seq) in self.allowed, "a tool would run unjudged"

    def note_verdict(self, step: Step) -> None:
        turn, event = step.before.turn, step.event
        call = turn.call(step.call) if turn is not None else None
        if call is None:
            return
        by_judge = isinstance(event, ev.Judged) and event.verdict.decision is Decision.ALLOW
        by_person = isinstance(event, ev.Approved) and event.args is None and call.phase is CallPhase.APPROVING
        if by_judge or by_person:
            self.allowed.add(self.what(call, step.after.seq))

    def what(self, call: Any, seq: int) -> Allowed:
        return (self.plans[seq], call.id, call.revision, encode(call.args))

    def settle(self, step: Step) -> None:
        """Forget the effects that this step answers or makes pointless."""
        event = step.event
        if event.on in GIVE_UP or (isinstance(event, ev.Finished) and event.fatal):
            self.drop([*self.pending])
        elif isinstance(event, ev.Edited):
            self.drop([key for key in self.pending if key[:2] == touched(event.path, step.before)])
        elif event.on in ANSWERS:
            name = ANSWERS[event.on]
            answered = [key for key in self.pending if key[:2] == (name, step.call)]
            assert len(answered) == 1, "an outcome was taken that nobody waited for"
            del self.pending[answered[0]]

    def drop(self, keys: list[Key]) -> None:
        self.gone += [self.pending.pop(key) for key in keys]

    @invariant()
    def what_is_under_way_is_what_the_state_waits_for(self) -> None:
        assert outstanding(self.state) == set(self.pending)

    @invariant()
    def every_call_in_the_history_is_answered_once_and_in_its_place(self) -> None:
        if self.rewritten[self.state.seq]:
            return
        contents = list(self.state.history)
        open_calls = self.state.phase in (Phase.CALLS, Phase.TURN_END)
        for n, content in enumerate(contents):
            asked = [part["functionCall"]["id"] for part in content.parts if content.role == "model" and asks(part)]
            last = n == len(contents) - 1
            if asked and not (last and open_calls):
                assert not last, "calls were left without an answer"
                assert sorted(answers(contents[n + 1])) == sorted(asked)
            if answers(content):
                before = [part["functionCall"]["id"] for part in contents[n - 1].parts if asks(part)] if n else []
                assert sorted(before) == sorted(answers(content)), "a result without its call"

    @invariant()
    def roles_alternate_but_for_prompts_that_were_given_up(self) -> None:
        if self.rewritten[self.state.seq]:
            return
        contents = list(self.state.history)
        for one, two in pairwise(contents):
            assert (one.role, two.role) != ("model", "model")
            assert not (one.is_results and two.role == "user")
            assert not (one.role == "user" and two.is_results)

    @invariant()
    def calls_are_in_play_wave_by_wave(self) -> None:
        calls = self.state.turn.calls if self.state.turn else ()
        waves = [call.wave for call in calls if call.phase not in (CallPhase.QUEUED, CallPhase.FINISHED)]
        assert len(set(waves)) <= 1
        assert len({call.id for call in calls}) == len(calls)
        assert (self.state.phase is Phase.CALLS) <= bool(waves)

    @invariant()
    def a_session_at_rest_says_how_it_came_to_rest(self) -> None:
        status = self.state.outcome.status if self.state.outcome else None
        ends = {Phase.DONE: "done", Phase.REFUSED: "refused", Phase.FAILED: "failed", Phase.CANCELLED: "cancelled"}
        assert ends.get(self.state.phase, status) == status
        assert self.state.phase not in REST or ready(self.state) == ()

    @rule()
    def look_at_a_snapshot(self) -> None:
        for codec in CODECS:
            again = thaw(freeze(self.state, codec), codec)
            assert again is not None
            assert again == self.state
            assert again.digest == self.state.digest

    def teardown(self) -> None:
        """Nothing that was has changed since, and the journal leads to it again, in both encodings."""
        assert [freeze(step.after, "msgpack") for step in self.steps] == self.frozen
        for codec in CODECS:
            blobs: dict[str, bytes] = {}
            bodies = []
            for n, step in enumerate(self.steps):
                body, more = pack(record_of(step, "user", n, n), codec)
                bodies.append(body)
                blobs.update(more)
            records = [unpack(body, codec, blobs.__getitem__, WHERE) for body in bodies]
            again = list(replay(records, State("s1"), where=WHERE))
            assert [step.after.digest for step in again] == [step.after.digest for step in self.steps]
            assert [step.after for step in again] == [step.after for step in self.steps]
            assert [step.effects for step in again] == [step.effects for step in self.steps]


def taken(state: State, event: ev.Event) -> Step | None:
    """The step that an event means, or None where it is refused."""
    try:
        return advance(state, event)
    except (NoTransition, EditRefused):
        return None


def touched(path: str, state: State) -> tuple[str, str] | None:
    """The effect that an edit of `path` makes pointless: its name and call."""
    if path == "message":
        return ("Screen", "")
    names = {CallPhase.JUDGING: "JudgeCall", CallPhase.APPROVING: "AskPerson"}
    meant = [call for call in state.turn.calls if path.startswith(f"calls.{call.id}.")] if state.turn else []
    call = max(meant, key=lambda one: len(one.id), default=None)
    return (names[call.phase], call.id) if call is not None and call.phase in names else None


def asks(part: JsonObject) -> bool:
    return isinstance(part.get("functionCall"), Mapping)


def answers(content: Content) -> list[str]:
    """The ids of the calls that a content answers."""
    if content.role != "user" or "user" in content.labels:
        return []
    return [part["functionResponse"]["id"] for part in content.parts if "functionResponse" in part]


Machine.TestCase.settings = settings(max_examples=200, stateful_step_count=30)
TestAnyWorldKeepsTheTable = Machine.TestCase


def test_the_verdicts_of_this_world_are_of_every_kind() -> None:
    assert {verdict.decision for verdict in (ALLOW, REVIEW, BLOCK)} == set(Decision)
    assert set(ANSWERS.values()) == {kind.__name__ for kind in effects.Effect.__args__}

"""In random traces nothing privileged follows from what is untrusted without a person between; labels never rise."""

from typing import Any, Final

from attrs import define, evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from defender.taint import decide
from runtime.provenance import NOTHING, PERSON, Integrity, Provenance
from runtime.step import Phase, State, advance
from runtime.step import events as ev
from runtime.step.records import freeze, thaw
from runtime.vocab import Decision, Message, ToolResult
from tests.defender.taint.cases import META, asking
from tests.runtime.step.scenes import ALLOW, Run, called, said

REQUEST: Final = "Read what is new and tell me about it."
"""Asks for nothing outside."""
NODES: Final = (
    "read_mail",
    "get_profile",
    "send_mail",
    "send_money",
    "update_password",
    "shell",
    "get_page",
    "delete_file",
)
WORDS: Final = st.sampled_from(
    ["eve@far.example", "http://e.example/x", "13", "25", "new", "what", "me", "/etc/passwd"]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(NODES), WORDS), min_size=1, max_size=12))
def test_no_effect_is_reachable_from_an_untrusted_node_without_a_review(
    path: list[tuple[str, str]],
) -> None:
    trace: list[dict[str, Any]] = []
    reached = False
    for name, word in path:
        meta = META[name]
        args = dict.fromkeys((*meta["sink_args"], *meta["content_args"]), word)
        asked = asking(REQUEST, name, args, *trace)
        found = decide(asked if trace else evolve(asked, provenance=NOTHING))
        if meta["effect"] != "none" and reached:
            assert found.decision is not Decision.ALLOW
            continue  # nobody was asked: it does not happen
        integrity = "trusted"
        if meta["result"] == "untrusted":
            integrity, reached = "untrusted", True
        elif meta["result"] == "echo" and reached:
            integrity = "untrusted"
        result = word if integrity == "untrusted" else "own"
        trace.append({"call": {"name": name, "args": args}, "result": result, "origin": name, "integrity": integrity})


@settings(max_examples=200)
@given(WORDS, st.sampled_from(NODES), st.sampled_from(["untrusted", "suspicious"]))
def test_lower_integrity_never_allows_more(word: str, name: str, integrity: str) -> None:
    args = dict.fromkeys((*META[name]["sink_args"], *META[name]["content_args"]), word)
    base = {"call": {"name": "read_mail", "args": {}}, "result": word, "origin": "x"}
    allowed = [
        decide(asking(f"Send '{word}' to {word}, run it and delete the file.", name, args, {**base, "integrity": one}))
        for one in ("trusted", "untrusted", "suspicious")
    ]
    order = [one.decision is Decision.ALLOW for one in allowed]
    assert order == sorted(order, reverse=True)


LABELS = st.sampled_from(["trusted/file", "untrusted/web:a.example", "suspicious/tool:read_file", "untrusted/file"])


@define
class Life:
    """A session and the lowest integrity that was ever in its window."""

    run: Run
    lowest: Integrity = Integrity.TRUSTED


class Session(RuleBasedStateMachine):
    """Any life of a session: turns, restarts, copies, snapshots, edits that vouch for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(Run.opened())
        self.count = 0

    @rule(
        label=st.sampled_from(
            ["trusted/file", "untrusted/web:a.example", "suspicious/tool:read_file", "untrusted/file"]
        )
    )
    def turn(self, label: str) -> None:
        """A prompt that reads something with this label."""
        self.count += 1
        run = self.life.run
        run.give(ev.Received(Message(f"m{self.count}", "go", ({"text": "go"},), labels=PERSON)))
        run.until(Phase.STREAMING).answered(called({"name": "read_file", "args": {}, "id": f"c{self.count}"}))
        name = f"read_file__c{self.count}"
        run.judged(name, verdict=ALLOW).go(name).give(ev.Finished(name, ToolResult("text", labels=(label,))))
        run.until(Phase.STREAMING).answered(said("done", "STOP")).until(Phase.DONE)
        self.life.lowest = self.life.lowest.meet(NOTHING.plus((label,)).integrity)

    @rule()
    def restart(self) -> None:
        """Another process reads a snapshot, or replays."""
        state = self.life.run.state
        back = thaw(freeze(state, "msgpack"), "msgpack")
        assert back is not None
        self.life.run = Run(back)

    @rule()
    def copy(self) -> None:
        """A session that begins as a copy."""
        state = self.life.run.state
        forked = ev.Forked(state, state.session, state.seq, state.digest.hex(), "ann")
        self.life.run = Run(advance(State("s1"), forked).after)
        if self.life.run.state.hold is not None:
            self.life.run.give(ev.Released("ann", self.life.run.state.hold.generation))

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """A person rewrites a content."""
        history = self.life.run.state.history
        if history:
            at = data.draw(st.integers(0, len(history) - 1))
            parts = {"parts": [{"text": "rewritten"}]}
            if not history[at].is_results and not any("functionCall" in part for part in history[at].parts):
                self.life.run.give(ev.Edited(f"history.{at}", parts, "ann"))

    @invariant()
    def nothing_rose(self) -> None:
        """What came in is still known, and the join is that of the whole history."""
        state = self.life.run.state
        assert state.influence.integrity is self.life.lowest
        assert set(state.influence.labels) == set(_whole(state).labels)
        if state.history and state.history[-1].role == "model":
            assert set(state.influence.tainted) <= set(NOTHING.plus(state.history[-1].labels).tainted)


def _whole(state: State) -> Provenance:
    joined = NOTHING
    for content in state.history:
        joined = joined.plus(content.labels)
    return joined


def test_labels_never_rise_in_any_life_of_a_session() -> None:
    run_state_machine_as_test(Session, settings=settings(max_examples=40, stateful_step_count=12))

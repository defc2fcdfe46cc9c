"""The public names of the steps are frozen."""

from runtime.step.kinds import ABOUT, CONTROLS, StepKind

FROZEN = (
    "message.receive message.screen turn.start context.build context.compress hook.run model.request model.chunk "
    "retry.wait model.response call.judge call.approve call.run call.result turn.end reply.judge reply.send"
).split()
LATER = (
    "session.open session.close control.hold control.release control.edit control.branch control.cancel "
    "control.recover control.queue session.fork control.mark"
).split()


def test_the_public_names_come_first_and_in_their_order() -> None:
    assert [kind.value for kind in StepKind][: len(FROZEN)] == FROZEN


def test_names_that_came_later_stand_behind_them() -> None:
    assert [kind.value for kind in StepKind][len(FROZEN) :] == LATER


def test_a_member_is_called_like_its_public_name() -> None:
    assert [kind.name for kind in StepKind] == [kind.value.upper().replace(".", "_") for kind in StepKind]


def test_every_kind_has_a_scope_and_one_sentence() -> None:
    assert list(ABOUT) == list(StepKind)
    assert {scope for scope, _ in ABOUT.values()} == {"session", "turn", "call", "control"}
    assert [text for _, text in ABOUT.values() if not text.endswith(".") or "  " in text] == []
    assert len({text for _, text in ABOUT.values()}) == len(StepKind)


def test_the_scope_of_a_kind_follows_from_its_name() -> None:
    calls = {kind for kind, (scope, _) in ABOUT.items() if scope == "call"}
    assert calls == {kind for kind in StepKind if kind.value.startswith("call.")}
    controls = {kind for kind, (scope, _) in ABOUT.items() if scope == "control"}
    assert controls == {kind for kind in StepKind if kind.value.startswith("control.")}


def test_a_held_session_still_answers_controls_and_being_closed() -> None:
    taken = {kind.value for kind in StepKind if kind.controls}
    assert taken == {*(name for name in LATER if name.startswith("control.")), "session.close"}
    assert {kind.value for kind in CONTROLS} == taken

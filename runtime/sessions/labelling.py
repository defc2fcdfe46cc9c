"""Where a call's values came from: what a judge is told of a call, and the labels of what it brought. Pure.

What a tool's `flow` says of its results counts, and the labels that the tool itself gave; nothing raises integrity.
"""

from functools import partial
from typing import Final

from runtime.ports import Asked
from runtime.provenance import Integrity, Licence, mark, marked, read
from runtime.step.state import Call, State
from runtime.vocab import Content, Decision, ToolResult, ToolSpec, Verdict, evolve

WITHHELD: Final = "withheld"
"""Error type of a result that a judge blocked."""


def asked_of(state: State, spec: ToolSpec, call: Call) -> Asked:
    """Return a call of this state as a judge sees it."""
    return Asked(
        spec=spec,
        args=call.args,
        call=call.id,
        revision=call.revision,
        licence=partial(licence, state),
        provenance=state.influence,
        history=state.history,
        workspace=state.settings.workspace,
        interactive=state.settings.interactive,
        entered_by=call.entered_by,
    )


def licence(state: State) -> Licence:
    """Return what people said: the open prompt, what joined it, and the messages before, newest first."""
    prompt = state.prompt
    if prompt is None:
        return Licence()
    said = [content.text for content in state.history[prompt.base + 1 :] if _said(content)]
    first = prompt.message.text if _trusted(prompt.message.labels) else ""
    system = state.context.system if state.context is not None else ""
    return Licence("\n".join((first, *said)), _earlier(state, prompt.base), system)


MOST_EARLIER: Final = 20


def _earlier(state: State, base: int) -> tuple[str, ...]:
    found = list[str]()
    for content in reversed(state.history[:base]):
        if len(found) == MOST_EARLIER:
            break
        if _said(content):
            found.append(content.text)
    return tuple(found)


def _said(content: Content) -> bool:
    return content.role == "user" and not content.is_results and _trusted(content.labels)


def _trusted(labels: tuple[str, ...]) -> bool:
    origins = [read(label) for label in labels]
    return any(origin == "user" for _, origin in origins) and all(one is Integrity.TRUSTED for one, _ in origins)


def labels_of(asked: Asked, result: ToolResult) -> tuple[str, ...]:
    """Return the labels of what a tool brought: those it gave itself, and what its flow says."""
    said = marked(result.labels)
    if said:
        return result.labels
    integrity = Integrity.UNTRUSTED
    if asked.spec.flow.result == "trusted":
        integrity = Integrity.TRUSTED
    elif asked.spec.flow.result == "echo":
        integrity = asked.provenance.integrity
    return (mark(integrity, f"tool:{asked.spec.name}"), *result.labels)


def joining(call: Call, result: ToolResult, verdict: Verdict) -> ToolResult:
    """Return the result as it joins the history: whole, marked as suspicious, or withheld."""
    if verdict.decision is Decision.ALLOW:
        return result
    if verdict.decision is Decision.REVIEW:
        return evolve(result, labels=(*result.labels, mark(Integrity.SUSPICIOUS, f"tool:{call.name}")))
    text = f"The result of {call.name} was withheld: {verdict.reason or f'{verdict.rule} forbids it.'}"
    failed = ToolResult.failed(WITHHELD, text)
    return evolve(
        failed, labels=(mark(Integrity.TRUSTED, "system"),), tape=result.tape, milliseconds=result.milliseconds
    )


def noted(verdict: Verdict) -> Verdict | None:
    """Return the verdict on a result as the journal keeps it: none where it was a plain yes."""
    plain = verdict.decision is Decision.ALLOW and verdict.score is None and not verdict.evidence
    return None if plain else verdict

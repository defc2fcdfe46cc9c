"""Transitions of a model request: context, request, stream, retries. Pure."""

from typing import Final

from runtime.ports import ModelRequest
from runtime.step import calls as waves
from runtime.step import effects, response, retry
from runtime.step import events as ev
from runtime.step.effects import Moved
from runtime.step.ending import ended_with, enter, prompt_of, taping, turn_of
from runtime.step.state import Context, Outcome, State, Turn, append, rewritten
from runtime.step.table import HOOK_BEFORE, CallPhase, Phase
from runtime.vocab import Content, digest, encode, evolve

STOPPED: Final = Content("model", ({"text": "(The answer to this was stopped.)"},), ("system",))
"""Stands between a prompt that was given up before its answer and the next one, so that they are not taken for one."""
EMPTY: Final = Content("model", ({"text": "(The answer was empty.)"},), ("system",))
NONE: Final = "[]"
BRIDGE: Final = Content("model", ({"text": "(The tool results above were not commented on.)"},), ("system",))
"""Stands between unanswered tool results and a new prompt, because roles must alternate (AGENT_LOOP section 1)."""


def request_of(state: State) -> ModelRequest:
    """Return the next model request, exactly as it would be sent."""
    context, turn = state.context, state.turn
    contents = state.history
    active = _active(state)
    if turn is not None and turn.nudge and state.settings.go_on:
        contents = contents.append(EMPTY).append(Content("user", ({"text": state.settings.go_on},), ("system",)))
    elif turn is not None and turn.nudge and contents:
        last = contents[-1]
        contents = contents.set(len(contents) - 1, evolve(last, parts=(*last.parts, {"text": turn.nudge})))
    terms = waves.terms_of(state)
    return ModelRequest(
        model=state.settings.model,
        contents=contents,
        system=context.system if context else "",
        tools=_joined(context.toolset.declarations if context else NONE, terms.tools.declarations),
        active=active,
        extra=terms.extra,
        tool_config=terms.choice,
        thinking=state.settings.thinking,
    )


def _joined(ours: str, theirs: str) -> str:
    """Return two JSON lists as one."""
    if NONE in (ours, theirs):
        return ours if theirs == NONE else theirs
    return f"{ours[:-1]},{theirs[1:]}"


def go_build(state: State) -> Moved:
    """Put the context together, or go on with the one that is there."""
    if state.context is None:
        return evolve(state, phase=Phase.BUILDING), (effects.BuildContext(),)
    return _before_request(_with_prompt(state)), ()


def go_compress(state: State) -> Moved:
    """Let the history be shortened."""
    return evolve(state, phase=Phase.COMPRESSING), (effects.Compress(),)


def go_hook(state: State) -> Moved:
    """Run the listeners of the event that stands before the next phase."""
    name = HOOK_BEFORE[state.after_hook] if state.after_hook else ""
    return evolve(state, phase=Phase.HOOKING), (effects.RunHook(name),)


def go_request(state: State) -> Moved:
    """Send the next request."""
    return evolve(state, phase=Phase.STREAMING), (effects.Ask(request_of(state), state.tape),)


def go_retry(state: State) -> Moved:
    """Wait before the next try."""
    return evolve(state, phase=Phase.RETRYING), (effects.Wait(turn_of(state).wait),)


def context_built(state: State, event: ev.ContextBuilt) -> Moved:
    """Take in the context; the prompt joins the history."""
    return _before_request(_with_prompt(evolve(state, context=Context(event.system, event.toolset, event.opening)))), ()


def compressed(state: State, event: ev.Compressed) -> Moved:
    """Take in the shorter history, if there is one."""
    state = taping(state, event.tape)
    return enter(state if event.history is None else _with_history(state, event.history), Phase.REQUEST), ()


def compacted(state: State, event: ev.Compacted) -> Moved:
    """Take in a history that somebody had shortened."""
    return evolve(_with_history(state, event.history), usage=state.usage.plus(event.usage)), ()


def _with_history(state: State, history: tuple[Content, ...]) -> State:
    shorter, prompt = len(state.history) - len(history), state.prompt
    if prompt is not None:
        prompt = evolve(prompt, base=max(0, prompt.base - shorter))
    return evolve(state, prompt=prompt, **rewritten(history))


def hooked(state: State, event: ev.Hooked) -> Moved:
    """Take in what the listeners said: go on, add to the prompt, or give it up."""
    if event.stop is not None:
        return ended_with(state, Phase.REFUSED, Outcome("refused", f"hook.{event.event}", event.stop)), ()
    prompt = prompt_of(state)
    if event.context:
        prompt = evolve(prompt, context=f"{prompt.context}{event.context}")
    after = state.after_hook or Phase.REQUEST
    return evolve(state, phase=after, after_hook=None, prompt=prompt), ()


def _with_prompt(state: State) -> State:
    prompt = prompt_of(state)
    if prompt.turns != 1 or len(state.history) != prompt.base:
        return state
    opening = state.context.opening if state.context and not state.history else ()
    extra = ({"text": prompt.context},) if prompt.context else ()
    said = Content("user", (*opening, *prompt.message.parts, *extra), prompt.message.labels)
    if state.history and state.history[-1].role == "user":
        return evolve(state, **append(state, BRIDGE if state.history[-1].is_results else STOPPED, said))
    return evolve(state, **append(state, said))


def _before_request(state: State) -> State:
    limit = state.settings.compress_at
    if limit and state.last_prompt_tokens >= limit:
        return evolve(state, phase=Phase.COMPRESS)
    return enter(state, Phase.REQUEST)


def chunk(state: State, event: ev.Chunk) -> Moved:
    """Add a piece to the answer. Nothing is decided before the stream ends."""
    turn = turn_of(state)
    rolled = digest(turn.rolled, encode(event.data))
    return evolve(state, turn=evolve(turn, chunks=turn.chunks.append(event.data), rolled=rolled)), ()


def stream_ended(state: State, event: ev.StreamEnded) -> Moved:
    """Check the answer: keep it and plan its calls, or try again, or fail."""
    turn = turn_of(state)
    after_results = bool(state.history) and state.history[-1].is_results
    answer = response.assemble(turn.chunks, event.stamp, after_results=after_results)
    state = evolve(
        state,
        usage=state.usage.plus(answer.usage),
        last_prompt_tokens=answer.usage.prompt or state.last_prompt_tokens,
        tape=state.tape if event.tape is None else event.tape,
    )
    terms = waves.terms_of(state)
    problem = "TOO_MANY_TOOL_CALLS" if len(answer.calls) > waves.MOST_CALLS else answer.problem
    if problem == "MAX_TOKENS_EXCEEDED" and "maxOutputTokens" in (terms.extra or {}):
        problem = None  # the sender set the limit: an answer that got no further is the answer
    if problem is not None:
        return _invalid_stream(state, problem), ()
    asked = (
        waves.planned(answer.calls, state.context.toolset, terms.tools.names) if answer.calls and state.context else ()
    )
    kept = append(state, _influenced(state, answer.content)) if answer.content.parts else {}
    done = evolve(turn, chunks=turn.chunks[:0], rolled=b"", calls=asked)
    runs = any(call.phase is not CallPhase.FINISHED for call in asked)
    return evolve(state, phase=Phase.CALLS if runs else Phase.TURN_END, turn=done, **kept), ()


def _influenced(state: State, content: Content) -> Content:
    """What the model said carries what it had before it: all labels of its window that are not trusted."""
    tainted = state.influence.tainted if waves.labelled(state) else ()
    return evolve(content, labels=(*content.labels, *tainted)) if tainted else content


def _invalid_stream(state: State, problem: str) -> State:
    turn = turn_of(state)
    failures = turn.invalid + 1
    wait = retry.wait_after_invalid(failures)
    if wait is None:
        outcome = Outcome("failed", f"invalid_stream.{problem}", response.PROBLEMS[problem])
        return ended_with(state, Phase.FAILED, outcome)
    fresh = Turn(turn.number, turn.broken, failures, wait, response.NUDGES.get(problem, ""))
    return evolve(state, phase=Phase.RETRY, turn=fresh)


def stream_broke(state: State, event: ev.StreamBroke) -> Moved:
    """Try again, or fail."""
    turn = turn_of(state)
    failures = turn.broken + 1
    wait = retry.wait_after_break(event, failures, state.settings.max_attempts, midstream=bool(turn.chunks))
    state = evolve(state, tape=state.tape if event.tape is None else event.tape)
    if wait is None:
        outcome = Outcome("failed", f"model.{event.kind}", event.message, event.status, event.body)
        return ended_with(state, Phase.FAILED, outcome), ()
    fresh = Turn(turn.number, failures, turn.invalid, wait, turn.nudge)
    return evolve(state, phase=Phase.RETRY, turn=fresh), ()


def waited(state: State, event: ev.Waited) -> Moved:
    """The wait is over: ask again."""
    return enter(state, Phase.REQUEST), ()


def _active(state: State) -> int:
    """Return the index of the last thing that a person said. It stands where the prompt began, or one behind (BRIDGE);
    only a history that was edited is searched."""
    contents, base = state.history, state.prompt.base if state.prompt else 0
    for n in (base, base + 1):
        if n < len(contents) and _is_said(contents[n]):
            return n
    return next((n for n in range(len(contents) - 1, -1, -1) if _is_said(contents[n])), 0)


def _is_said(content: Content) -> bool:
    return content.role == "user" and not content.is_results

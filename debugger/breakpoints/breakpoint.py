"""One breakpoint, ready: what it looks at, when it counts, what it says. Pure.

Whether it is met at a border is asked once for each border, and what its expressions take there is paid by a run. What
goes wrong in it is counted and told once; after MOST_ERRORS it is muted.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, evolve

from debugger.border import Border
from debugger.breakpoints.catches import catch
from debugger.breakpoints.counters import HitRule, Rate, hit_rule
from debugger.breakpoints.memory import Memory
from debugger.breakpoints.patterns import BORDERS, Pattern, Sought, pattern, result_text
from debugger.breakpoints.places import (
    STEPS,
    Places,
    event_of,
    events_of,
    glob,
    is_whole,
    kinds_of,
    places,
    tool_of,
    turn_of,
)
from debugger.breakpoints.spec import BadSpec, Spec, checked
from debugger.breakpoints.watches import Change, watch
from debugger.expressions import BadExpression, Expression, Run, Template, compile_expression, compile_template
from runtime.step import On, StepKind
from runtime.step.events import Finished

MOST_ERRORS: Final = 10
MOST_CAUSE: Final = 300
"""Characters of a cause. It is one line of the journal."""

Find = Callable[[Border, Memory, Run], "str | Change | None"]
"""Returns what is found at a border in a few words, or a change; None for nothing. The run pays for expressions."""


@define(eq=False)
class Breakpoint:
    """A breakpoint of a book. `hits` counts how often it was met; `errors` how often asking it failed, `crowds` at how
    many borders it left too little for others.

    `weight` is what its expressions take at each border for their nodes; `taken` and `age` are the account's
    (`debugger.breakpoints.budget`). `why` says why it is muted.
    """

    id: int
    spec: Spec
    places: Places
    find: Find
    session: Callable[[str], object]
    agent: Callable[[str], object] | None
    tool: Callable[[str], object] | None
    when: Expression | None
    log: Template | None
    weight: int
    rule: HitRule | None
    rate: Rate
    hits: int = 0
    errors: int = 0
    crowds: int = 0
    muted: bool = False
    ignored: int = 0
    taken: int = 0
    age: int = -1
    why: str = ""

    @property
    def ignoring(self) -> int:
        """How many of the next hits will not stop."""
        return max(0, self.spec.ignore - self.ignored)

    def concerns(self, session: str, key: str, agent: str) -> bool:
        """Whether the breakpoint is for this session at all."""
        if not self.spec.enabled or self.muted:
            return False
        if self.agent is not None and not self.agent(agent):
            return False
        return bool(self.session(session) or (key and self.session(key)))

    def matches(self, border: Border, memory: Memory, run: Run) -> str | None:
        """Return the cause of a stop, None where the breakpoint is not met. Counts nothing. `run` stands at the border,
        and then at the one with what was found there. Raises whatever its parts raise."""
        found = self.find(border, memory, run)
        if found is None or not self._fits(border, memory):
            return None
        if isinstance(found, Change):
            run.border, found = evolve(border, old=found.old, new=found.new), found.line
        if self.when is not None and not self.when.within(run):
            return None
        return self.cause(found)

    def met(self, border: Border, memory: Memory, run: Run) -> str | None:
        """As `matches`, and count it; None also where this hit does not count."""
        cause = self.matches(border, memory, run)
        if cause is None:
            return None
        self.hits += 1
        if self.ignoring:
            self.ignored += 1
            return None
        return cause if self.rule is None or self.rule.allows(self.hits) else None

    def _fits(self, border: Border, memory: Memory) -> bool:
        spec = self.spec
        if spec.after is not None and spec.after not in memory.hit:
            return False
        if spec.turn is not None and turn_of(border) != spec.turn:
            return False
        return self.tool is None or bool(self.tool(tool_of(border)))

    def cause(self, found: str) -> str:
        """Return why the session stops, in one line."""
        return _line(f"{name_of(self.spec)} {self.id}{': ' if found else ''}{found}")

    def said(self, run: Run, now: int) -> str | None:
        """Return what the log point says, None where it spoke too often in this second."""
        left_out = self.rate.left_out
        if self.log is None or not self.rate.take(now):
            return None
        self.rate.left_out = 0
        text = self.log.within(run)
        return f"{text} ({left_out} left out)" if left_out else text

    def failed(self, exc: Exception) -> str | None:
        """Count an error. Return what a person should hear of it, None where it was told before."""
        self.errors += 1
        self.muted = self.errors >= MOST_ERRORS
        name = f"{name_of(self.spec)} {self.id}"
        if self.muted:
            return f"{name} failed {self.errors} times and is muted until it is changed or enabled"
        if self.errors > 1:
            return None
        return _line(f"{name} failed and does not stop; this is told once: {_why(exc)}")

    def crowded(self, others: "Sequence[Breakpoint]") -> str:
        """Count a border at which this one left too little for others; return what a person should hear of it."""
        self.crowds += 1
        if self.crowds >= MOST_ERRORS and not self.muted:
            return self.mute(f"at {self.crowds} borders it left too little for others")
        first = f"{name_of(others[0].spec)} {others[0].id}"
        more = f" and {len(others) - 1} more were" if len(others) > 1 else " was"
        return (
            f"{first}{more} not asked at a border: {name_of(self.spec)} {self.id} took what all have together there; "
            f"after {MOST_ERRORS} times it is muted"
        )

    def mute(self, why: str) -> str:
        """Mute it; return what a person should hear of it."""
        self.muted, self.why = True, why
        return f"{name_of(self.spec)} {self.id} is muted until it is changed or enabled: {why}"

    def heard(self) -> None:
        """Let it be heard again."""
        self.muted, self.errors, self.crowds, self.why = False, 0, 0, ""


def _line(text: str) -> str:
    """Return the text in one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_CAUSE else line[: MOST_CAUSE - 1] + "…"


def _why(exc: Exception) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 - an error that cannot even be told
        return type(exc).__name__


def name_of(spec: Spec) -> str:
    """Return the word for this sort of breakpoint."""
    if spec.watch:
        return "watchpoint"
    return "catch" if spec.catch or spec.text else "breakpoint"


def make(number: int, spec: Spec) -> Breakpoint:
    """Return the breakpoint that a spec means. Raises BadSpec with the member, and the position in it."""
    where, find, value = _sought(number, checked(spec))
    when, log = _compiled("when", spec.when, compile_expression), _compiled("log", spec.log, compile_template)
    return Breakpoint(
        id=number,
        spec=spec,
        places=where,
        find=find,
        session=glob(spec.session),
        agent=glob(spec.agent) if spec.agent else None,
        tool=glob(spec.tool) if spec.tool else None,
        when=when,
        log=log,
        weight=sum(one.weight for one in (value, when, log) if one is not None),
        rule=hit_rule(spec.hits),
        rate=Rate(spec.rate),
    )


def _compiled(name: str, source: str, compiler: Callable[[str], Any]) -> Any:
    if not source:
        return None
    try:
        return compiler(source)
    except BadExpression as exc:
        raise BadSpec(name, str(exc), exc.position) from None


def _sought(number: int, spec: Spec) -> tuple[Places, Find, Expression | None]:
    """Return where to look, how, and the value that is watched."""
    if spec.watch:
        made = watch(spec)
        return made.places, lambda border, memory, run: made.sense(border, memory, number, run), made.value
    return *_plainly(number, spec), None


def _plainly(number: int, spec: Spec) -> tuple[Places, Find]:
    if spec.catch:
        caught = catch(spec.catch)
        if spec.edge is not None or spec.kinds:
            raise BadSpec("edge" if spec.edge else "kinds", "a catch knows itself where to stop")
        return caught.places, lambda border, memory, run: caught.sense(border, memory, number)
    if spec.text:
        return _text_places(spec), _searching(pattern(spec.text), number)
    if spec.new_session:
        return places({StepKind.SESSION_OPEN}, spec.edge), _events(frozenset({On.OPEN}))
    if spec.event:
        return places(StepKind, spec.edge), _events(events_of(spec.event))
    return places(_kinds(spec), spec.edge), lambda border, memory, run: "" if is_whole(border) else None


def _kinds(spec: Spec) -> frozenset[StepKind]:
    if spec.kinds:
        return kinds_of(spec.kinds)
    if spec.tool:
        return frozenset({StepKind.CALL_RUN})
    return frozenset({StepKind.TURN_START}) if spec.turn is not None else STEPS


def _events(wanted: frozenset[On]) -> Find:
    def find(border: Border, memory: Memory, run: Run) -> str | None:
        on = getattr(event_of(border), "on", None)
        return f"event {on.value}" if on in wanted else None

    return find


def _text_places(spec: Spec) -> Places:
    if spec.edge == "after":
        raise BadSpec("edge", "text is looked at before it is delivered")
    kinds = kinds_of(spec.kinds) if spec.kinds else BORDERS
    if kinds - BORDERS:
        names = ", ".join(sorted(kind.value for kind in BORDERS))
        raise BadSpec("kinds", f"there is text before {names}, and nowhere else")
    return Places(kinds)


def _searching(wanted: Pattern, number: int) -> Find:
    def find(border: Border, memory: Memory, run: Run) -> str | None:
        if isinstance(border.event, Finished):
            found = wanted.first(result_text(border), 0, True) is not None
        elif border.kind is StepKind.CALL_RESULT:
            return None
        else:
            memory.stream.look(border)
            found = memory.sought.setdefault(number, Sought()).found(wanted, memory.stream)
        return f"text {wanted.source}" if found else None

    return find

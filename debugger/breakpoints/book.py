"""All breakpoints of a daemon, and what is asked of them: does anybody want this border? Pure; raises nothing there.

The borders that are wanted are kept for each session by step kind, so that one that nobody wants costs a look into a
dict. Each question counts, and a stop may use a breakpoint up: who asks (`runtime.sessions.gate`) asks once at a border
and remembers the answer. At most MOST breakpoints, and memory of MOST_SESSIONS sessions.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final

from attrs import define, evolve, field, frozen

from debugger.border import Border, Edge
from debugger.breakpoints.breakpoint import Breakpoint, make
from debugger.breakpoints.budget import COMMON, EACH, MOST_NODES, Account
from debugger.breakpoints.memory import Memory
from debugger.breakpoints.plan import Plan, planned
from debugger.breakpoints.saving import below, renumbered, specs_of
from debugger.breakpoints.spec import BadSpec, Spec, plain, structure
from debugger.expressions import ExpressionFailed, Run
from debugger.expressions.bounds import MOST_OPERATIONS
from runtime.step import StepKind

MOST: Final = 1_000
MOST_SESSIONS: Final = 20_000


@frozen
class Hit:
    """What breakpoints made of a border. With `ids` the session stops: `cause` is why, in one line, and `commands` are
    the lines that belong to those breakpoints and `logs` what log points said, each with its id. `complaints` are
    sentences about breakpoints that failed."""

    ids: tuple[int, ...] = ()
    cause: str = ""
    logs: tuple[tuple[int, str], ...] = ()
    commands: tuple[tuple[int, str], ...] = ()
    complaints: tuple[str, ...] = ()


@define(eq=False)
class _Found:
    """What is gathered at a border."""

    stops: list[tuple[Breakpoint, str]] = field(factory=list)
    logs: list[tuple[int, str]] = field(factory=list)
    told: list[str] = field(factory=list)
    hit: list[int] = field(factory=list)
    starved: list[Breakpoint] = field(factory=list)

    def met(self, one: Breakpoint, cause: str, run: Run, now: int) -> None:
        """Take in that a breakpoint was met. Raises whatever its log line raises."""
        self.hit.append(one.id)
        if one.log is None:
            self.stops.append((one, cause))
        elif (said := one.said(run, now)) is not None:
            self.logs.append((one.id, said))

    def tell(self, line: str | None) -> None:
        """Take in what a person should hear."""
        if line is not None:
            self.told.append(line)


def _short_of(exc: Exception, room: int) -> Exception:
    if not isinstance(exc, ExpressionFailed) or room == MOST_OPERATIONS:
        return exc
    return ExpressionFailed(f"it takes more than {room:,} operations, and no more is left among so many others")


_Wanted = tuple[Breakpoint, ...]


@define(eq=False)
class Book:
    """The breakpoints. Ids count from 1 and are not used twice."""

    _breakpoints: dict[int, Breakpoint] = field(factory=dict)
    _plans: dict[str, Plan] = field(factory=dict)
    _memories: dict[str, Memory] = field(factory=dict)
    _next: int = 1
    _account: Account = field(factory=Account)

    # --- what people do

    def add(self, spec: Spec) -> Breakpoint:
        """Set a breakpoint. Raises BadSpec."""
        return self._put(self._next, spec)

    def change(self, number: int, members: Mapping[str, Any]) -> Breakpoint:
        """Set members of a breakpoint (JSON values). Its hits stay counted; failures, and with `ignore` the ignored
        ones, are counted anew. Raises BadSpec, and then nothing is changed."""
        old = self.get(number)
        made = self._put(number, structure({**plain(old.spec), **members}))
        made.hits, made.ignored = old.hits, 0 if "ignore" in members else old.ignored
        made.taken, made.age = old.taken, old.age  # who changes his own again and again lets nobody else be muted
        return made

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete breakpoints: all, or none if one of them is not there or another waits for it. Raises BadSpec."""
        gone = {self.get(number, f"ids[{n}]").id for n, number in enumerate(numbers)}
        for one in self:
            if one.spec.after in gone and one.id not in gone:
                raise BadSpec("ids", f"breakpoint {one.id} waits for {one.spec.after}: change or delete it first")
        for number in gone:
            self._drop(number)
        self._plans.clear()

    def enable(self, numbers: Iterable[int], on: bool = True, *, once: bool = False) -> None:
        """Enable or disable breakpoints; with `once` the next stop disables them again. A muted one is heard again.

        Raises BadSpec where one is not there, and then nothing is changed.
        """
        wanted = [self.get(number, f"ids[{n}]") for n, number in enumerate(numbers)]
        for one in wanted:
            one.spec = evolve(one.spec, enabled=on, once=once and not one.spec.temporary)
            one.heard()
            for memory in self._memories.values():
                memory.forget(one.id)
        self._plans.clear()

    def group(self, name: str) -> tuple[int, ...]:
        """Return the ids of a group. Raises BadSpec for one that nobody is in."""
        found = tuple(one.id for one in self if one.spec.group == name)
        if not found or not name:
            raise BadSpec("group", f"no breakpoint is in a group {name[:60]!r}")
        return found

    def get(self, number: int, at: str = "id") -> Breakpoint:
        """Return a breakpoint. Raises BadSpec where there is none."""
        found = self._breakpoints.get(number)
        if found is None:
            raise BadSpec(at, f"there is no breakpoint {number}")
        return found

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(sorted(self._breakpoints.values(), key=attrgetter("id")))

    def __len__(self) -> int:
        return len(self._breakpoints)

    def save(self) -> list[dict[str, Any]]:
        """Return all breakpoints as JSON values: their ids and what was asked for. Counts are not saved."""
        return [{"id": one.id, **plain(one.spec)} for one in self]

    def load(self, rows: Any) -> dict[int, int]:
        """Set the breakpoints that were saved: all, or none where one is bad. Returns the new id for each saved one.

        An id is kept where it is free; else the breakpoint gets a new one, and those of `rows` that wait for it are
        told. Raises BadSpec with the path (`[3].when`).
        """
        saved = specs_of(rows)
        ids, following = renumbered(saved, self._breakpoints, self._next)
        loaded = evolve(self, breakpoints=dict(self._breakpoints))
        for n, (number, spec) in enumerate(saved.items()):
            mapped = spec if spec.after is None else evolve(spec, after=ids.get(spec.after, spec.after))
            with below(f"[{n}]"):
                loaded._place(ids[number], mapped)
        for n, number in enumerate(saved):
            with below(f"[{n}]"):
                made = loaded.get(ids[number])
                loaded._check_order(made)
        if saved:
            with below(f"[{len(saved) - 1}]"):
                loaded._check_weight(made)
        self._breakpoints, self._next = loaded._breakpoints, following
        self._plans.clear()
        return ids

    # --- what the engine asks

    def wants(self, session: str, kind: StepKind, edge: Edge, key: str = "", agent: str = "") -> bool:
        """Whether any breakpoint looks at borders of this kind: if not, nobody need make one."""
        if not self._breakpoints:
            return False
        plan = self._plans.get(session)
        if plan is None or plan.key != key or plan.agent != agent:
            plan = self._planned(session, key, agent)
        return kind in (plan.before if edge == "before" else plan.after)

    def before(self, border: Border, now: int, *, stops: bool = True) -> Hit | None:
        """Return what breakpoints make of a step that is about to be taken; `now` in ms. Raises nothing."""
        if not self._breakpoints:
            return None
        plan = self._plans.get(border.session)
        if plan is None or plan.key != border.key or plan.agent != border.agent:
            plan = self._planned(border.session, border.key, border.agent)
        wanted = plan.before.get(border.kind)
        return None if wanted is None else self._ask(wanted, border, now, stops)

    def passed(self, border: Border, now: int) -> Hit | None:
        """As `before`, at a border where something else stopped the session already: hits count and log points speak,
        and nothing stops or is used up. Raises nothing."""
        return self.before(border, now, stops=False)

    def after(self, border: Border, now: int) -> Hit | None:
        """Return what breakpoints make of a step that was taken; `now` in ms. Raises nothing."""
        if not self._breakpoints:
            return None
        plan = self._plans.get(border.session)
        if plan is None or plan.key != border.key or plan.agent != border.agent:
            plan = self._planned(border.session, border.key, border.agent)
        wanted = plan.after.get(border.kind)
        return None if wanted is None else self._ask(wanted, border, now)

    def recorded(self, border: Border, memory: Memory) -> Hit | None:
        """Return which breakpoints would stop at a border that a session passed long ago. `memory` is of this way over
        the record: ask all borders from the first one on.

        Counts nothing, uses nothing up and logs nothing; which hit it is (`hits`, `ignore`) does not matter. One that
        fails is passed over. Raises nothing.
        """
        if not self._breakpoints:
            return None
        plan = self._plans.get(border.session)
        if plan is None or plan.key != border.key or plan.agent != border.agent:
            plan = self._planned(border.session, border.key, border.agent)
        wanted = (plan.before if border.edge == "before" else plan.after).get(border.kind, ())
        met: list[tuple[Breakpoint, str]] = []
        run = Run(0, border)
        for one in wanted:
            run.left, run.border = one.weight + EACH // len(wanted) + COMMON, border
            with suppress(Exception):
                cause = one.matches(border, memory, run)
                if cause is not None:
                    met.append((one, cause))
        memory.hit.update(one.id for one, _ in met)
        stops = [(one.id, cause) for one, cause in met if one.log is None]
        return Hit(tuple(number for number, _ in stops), stops[0][1]) if stops else None

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session that is closed or unloaded."""
        self._plans.pop(session, None)
        self._memories.pop(session, None)

    # --- inside

    def _ask(self, wanted: _Wanted, border: Border, now: int, stops: bool = True) -> Hit | None:
        memory = self._memory(border.session)
        self._account.borders += 1
        found: _Found | None = None
        run = Run(0, border)
        share, common = EACH // len(wanted), COMMON
        greedy, most = None, 0  # who took most beyond an equal part
        for one in wanted:
            room = share + common
            run.left = one.weight + room
            try:
                cause = one.met(border, memory, run)
                if cause is not None:
                    found = found or _Found()
                    found.met(one, cause, run, now)
            except Exception as exc:  # noqa: BLE001 - whatever a breakpoint does, the session goes on
                found = found or _Found()
                if isinstance(exc, ExpressionFailed) and most > room:
                    found.starved.append(one)  # it is not its fault
                else:
                    found.tell(one.failed(_short_of(exc, room)))
            run.border = border
            if run.left < room:  # it took more than its nodes do
                taken = room - max(run.left, 0)
                told = self._account.pay(one, taken, self._breakpoints.values())
                if told is not None:
                    found = found or _Found()
                    found.tell(told)
                if taken > max(most, share):
                    greedy, most = one, taken
                common = max(0, common - max(0, taken - share))
        if found is None:
            return None
        if found.starved and greedy is not None:
            found.tell(greedy.crowded(found.starved))
        return self._answer(found, memory, stops)

    def _answer(self, found: "_Found", memory: Memory, stop: bool) -> Hit | None:
        if found.told:
            self._plans.clear()  # one may be muted
        memory.hit.update(found.hit)  # not before the next border: the order of ids means nothing
        for number in found.hit if stop else ():
            self._spend(self._breakpoints[number])
        stops = found.stops if stop else []
        if not stops and not found.logs and not found.told:
            return None
        commands = tuple((one.id, line) for one, _ in stops for line in one.spec.commands)
        ids = tuple(one.id for one, _ in stops)
        return Hit(ids, stops[0][1] if stops else "", tuple(found.logs), commands, tuple(found.told))

    def _spend(self, one: Breakpoint) -> None:
        """Use up what stops only once: a temporary one is deleted (disabled, where another one waits for it), a `once`
        one is disabled."""
        if not one.spec.temporary and not one.spec.once:
            return
        if one.spec.once or any(other.spec.after == one.id for other in self._breakpoints.values()):
            one.spec = evolve(one.spec, enabled=False, once=False)
        else:
            self._drop(one.id)
        self._plans.clear()

    def _memory(self, session: str) -> Memory:
        found = self._memories.get(session)
        if found is None:
            if len(self._memories) >= MOST_SESSIONS:
                del self._memories[next(iter(self._memories))]
            found = self._memories[session] = Memory()
        return found

    def _planned(self, session: str, key: str, agent: str) -> Plan:
        if len(self._plans) >= MOST_SESSIONS:
            self._plans.clear()
        plan = planned(self, session, key, agent)
        self._plans[session] = plan
        return plan

    def _put(self, number: int, spec: Spec) -> Breakpoint:
        old = self._breakpoints.get(number)
        made = self._place(number, spec)
        try:
            self._check_order(made)
            self._check_weight(made)
        except BadSpec:
            if old is None:
                del self._breakpoints[number]
            else:
                self._breakpoints[number] = old
            raise
        self._next = max(self._next, number + 1)
        for memory in self._memories.values():
            memory.forget(number)
        self._plans.clear()
        return made

    def _place(self, number: int, spec: Spec) -> Breakpoint:
        if number not in self._breakpoints and len(self._breakpoints) >= MOST:
            raise BadSpec("id", f"there are {MOST} breakpoints already")
        made = make(number, spec)
        self._breakpoints[number] = made
        return made

    def _check_order(self, made: Breakpoint) -> None:
        """Refuse to wait for what is not there, or for itself."""
        seen, number = {made.id}, made.spec.after
        while number is not None:
            if number in seen:
                raise BadSpec("after", f"breakpoint {made.id} would wait for itself")
            seen.add(number)
            number = self.get(number, "after").spec.after

    def _check_weight(self, made: Breakpoint) -> None:
        """Refuse what would make all borders too costly, whatever the sessions hold."""
        others = sum(one.weight for one in self._breakpoints.values()) - made.weight
        if made.weight + others > MOST_NODES:
            spec = made.spec
            at = "when" if spec.when else "log" if spec.log else "watch"
            has = f"has {made.weight} names, literals and operators, and those of the others {others:,}"
            raise BadSpec(at, f"{has}: {MOST_NODES:,} are allowed together; delete some, or say less")

    def _drop(self, number: int) -> None:
        del self._breakpoints[number]
        for memory in self._memories.values():
            memory.forget(number)
            memory.hit.discard(number)

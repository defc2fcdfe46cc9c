"""Who drives a session: one at most, handed over, kept for whoever was lost, and given up in time."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from debugger.leases import Due, Lease, Leases, Watcher
from debugger.protocol import Failure

ANN, BOB, EVE = Watcher("c1", "ann", True), Watcher("c2", "bob", True), Watcher("c3", "eve", False)


def table(*watchers: Watcher, **about: Any) -> Leases:
    leases = Leases()
    for watcher in watchers:
        leases.attach("s", watcher, **about)
    return leases


def test_the_first_who_may_drive_drives_and_all_others_watch() -> None:
    leases = Leases()
    assert [leases.attach("s", one) for one in (EVE, ANN, BOB)] == [False, True, False]
    assert leases.check("s", "c1").user == "ann"
    with pytest.raises(Failure, match="driven by ann") as caught:
        leases.check("s", "c2")
    assert caught.value.code == "not_driver"
    assert [one.user for one in leases.watchers("s")] == ["eve", "ann", "bob"]
    with pytest.raises(Failure, match="nobody drives"):
        leases.check("other", "c1")


def test_who_only_observes_does_not_drive() -> None:
    leases = Leases()
    assert not leases.attach("s", ANN, observe=True)
    assert leases.of("s") is None
    assert leases.attach("s", ANN)
    with pytest.raises(Failure, match="give it to somebody, or detach"):
        leases.attach("s", ANN, observe=True)


@pytest.mark.parametrize("then", ["resume", "cancel"])
def test_a_driver_that_detaches_says_what_becomes_of_the_session(then: Any) -> None:
    leases = table(ANN, BOB)
    assert leases.detach("s", "c1", then) == Due("s", then, "ann", "ann detached")
    assert leases.of("s") is None
    assert leases.detach("s", "c2", then) is None
    with pytest.raises(Failure, match="not attached"):
        leases.detach("s", "c2", then)


def test_a_driver_may_leave_a_session_held_for_nobody() -> None:
    leases = table(ANN)
    assert leases.detach("s", "c1", "hold") is None
    assert leases.next_due() is None
    assert leases.attach("s", BOB)


def test_a_lost_driver_is_waited_for_and_then_the_session_goes_on() -> None:
    leases = table(ANN, BOB, on_loss="hold", seconds=300.0)
    assert leases.lost("c1", 1_000.0) == []
    assert leases.next_due() == 1_300.0
    assert not leases.attach("s", BOB)
    assert leases.due(1_299.9) == []
    assert leases.due(1_300.0) == [Due("s", "resume", "ann", "ann's connection was lost", waited=True)]
    assert (leases.due(9_999.0), leases.next_due()) == ([], None)


@pytest.mark.parametrize(
    ("on_loss", "seconds", "act"), [("resume", 300, "resume"), ("cancel", 300, "cancel"), ("hold", 0, "resume")]
)
def test_a_policy_that_waits_for_nobody_is_due_at_once(on_loss: Any, seconds: float, act: Any) -> None:
    leases = table(ANN, on_loss=on_loss, seconds=seconds)
    assert [due.act for due in leases.lost("c1", 5.0)] == [act]
    assert leases.of("s") is None


def test_whoever_comes_back_in_time_drives_again_and_nothing_is_due() -> None:
    leases = table(ANN)
    leases.lost("c1", 0.0)
    assert not leases.attach("s", Watcher("c8", "mallory", True))
    assert leases.attach("s", Watcher("c9", "ann", True))
    assert leases.check("s", "c9").until is None
    assert leases.due(1e9) == []


def test_an_observer_that_is_lost_changes_nothing() -> None:
    leases = table(ANN, EVE)
    assert leases.lost("c3", 0.0) == []
    assert leases.check("s", "c1").user == "ann"
    assert leases.next_due() is None


def test_a_session_is_given_at_once_to_somebody_who_is_there() -> None:
    leases = table(ANN, BOB)
    assert leases.give("s", "c1", "bob").connection == "c2"
    assert leases.check("s", "c2").user == "bob"
    with pytest.raises(Failure):
        leases.give("s", "c1", "ann")


def test_a_session_that_is_offered_waits_for_whom_it_is_offered_to() -> None:
    leases = table(ANN)
    assert leases.give("s", "c1", "bob") == Lease("s", "ann", "c1", offered="bob")
    assert not leases.attach("s", Watcher("c8", "eve", True))
    assert leases.attach("s", BOB)
    assert leases.check("s", "c2").offered == ""


def test_an_offer_can_be_taken_back() -> None:
    leases = table(ANN)
    leases.give("s", "c1", "bob")
    leases.give("s", "c1", "")
    assert not leases.attach("s", BOB)


def test_it_is_taken_only_from_nobody_from_the_lost_or_with_force() -> None:
    leases = table(ANN, BOB, EVE)
    with pytest.raises(Failure, match="driven by ann"):
        leases.take("s", "c2")
    with pytest.raises(Failure, match="cannot drive"):
        leases.take("s", "c3", force=True)
    with pytest.raises(Failure, match="cannot drive"):
        leases.take("s", "c9", force=True)
    assert leases.take("s", "c2", force=True).user == "bob"
    leases.lost("c2", 0.0)
    assert leases.take("s", "c1").until is None
    leases.detach("s", "c1", "hold")
    leases.attach("s", BOB, observe=True)
    assert leases.take("s", "c2").connection == "c2"


def test_a_session_that_is_no_more_has_nothing_due() -> None:
    leases = table(ANN)
    leases.lost("c1", 0.0)
    leases.forget("s")
    assert (leases.next_due(), leases.due(1e9), leases.watchers("s")) == (None, [], ())


SESSIONS = st.sampled_from(["s1", "s2"])
CONNECTIONS = st.integers(0, 5)
USERS = ("ann", "bob", "eve")


class Driving(RuleBasedStateMachine):
    """Anybody does anything at any time. What must hold is written down without looking into the table."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases()
        self.now = 0.0
        self.epoch = dict.fromkeys(range(6), 0)
        self.attached: dict[str, set[str]] = {"s1": set(), "s2": set()}
        self.losses = dict.fromkeys(self.attached, 0)
        self.settled = dict.fromkeys(self.attached, 0)

    def name(self, number: int) -> str:
        return f"c{number}.{self.epoch[number]}"

    def watcher(self, number: int) -> Watcher:
        return Watcher(self.name(number), USERS[number % 3], number != 5)

    def drives(self, session: str) -> str | None:
        lease = self.leases.of(session)
        return lease.connection if lease is not None and not lease.lost else None

    def is_lost(self, session: str) -> bool:
        lease = self.leases.of(session)
        return lease is not None and lease.lost

    def saw(self, due: list[Due]) -> None:
        for one in due:
            assert self.leases.of(one.session) is None
            self.settled[one.session] += 1

    @rule(
        session=SESSIONS,
        number=CONNECTIONS,
        observe=st.booleans(),
        on_loss=st.sampled_from(["hold", "resume", "cancel"]),
        seconds=st.floats(0, 50),
    )
    def attach(self, session: str, number: int, observe: bool, on_loss: Any, seconds: float) -> None:
        was, lost = self.drives(session), self.is_lost(session)
        offered = getattr(self.leases.of(session), "offered", "")
        watcher = self.watcher(number)
        try:
            driving = self.leases.attach(session, watcher, observe=observe, on_loss=on_loss, seconds=seconds)
        except Failure:
            assert observe
            assert was == watcher.connection
            return
        self.attached[session].add(watcher.connection)
        assert driving == (self.drives(session) == watcher.connection)
        if was not in (None, watcher.connection) and offered != watcher.user:
            assert not driving
        if lost and driving:
            self.settled[session] += 1

    @rule(session=SESSIONS, number=CONNECTIONS, then=st.sampled_from(["hold", "resume", "cancel"]))
    def detach(self, session: str, number: int, then: Any) -> None:
        name, was = self.name(number), self.drives(session)
        try:
            due = self.leases.detach(session, name, then)
        except Failure:
            assert name not in self.attached[session]
            return
        self.attached[session].discard(name)
        assert (due is not None) == (was == name and then != "hold")

    @rule(number=CONNECTIONS)
    def lose(self, number: int) -> None:
        name = self.name(number)
        for session in self.attached:
            self.losses[session] += self.drives(session) == name
            self.attached[session].discard(name)
        self.saw(self.leases.lost(name, self.now))
        self.epoch[number] += 1

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.saw(self.leases.due(self.now))

    @rule(session=SESSIONS, number=CONNECTIONS, user=st.sampled_from([*USERS, ""]))
    def give(self, session: str, number: int, user: str) -> None:
        was = self.drives(session)
        try:
            lease = self.leases.give(session, self.name(number), user)
        except Failure:
            assert was != self.name(number)
            return
        assert was == self.name(number)
        assert lease.connection in self.attached[session]

    @rule(session=SESSIONS, number=CONNECTIONS, force=st.booleans())
    def take(self, session: str, number: int, force: bool) -> None:
        lost = self.is_lost(session)
        try:
            lease = self.leases.take(session, self.name(number), force=force)
        except Failure:
            return
        assert lease.connection == self.name(number) == self.drives(session)
        self.settled[session] += lost

    @invariant()
    def whoever_drives_is_there(self) -> None:
        for session, attached in self.attached.items():
            assert self.drives(session) in {None, *attached}
            assert {one.connection for one in self.leases.watchers(session)} == attached

    @invariant()
    def each_loss_is_waited_for_or_settled_once(self) -> None:
        for session in self.attached:
            assert self.losses[session] - self.settled[session] == self.is_lost(session)
        due = self.leases.next_due()
        assert (due is not None) == any(self.is_lost(session) for session in self.attached)

    def teardown(self) -> None:
        """In the end nothing is waited for."""
        self.saw(self.leases.due(self.now + 1e6))
        assert self.losses == self.settled


Driving.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDriving = Driving.TestCase

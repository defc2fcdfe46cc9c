"""The connection of a debugger is killed at any moment: nobody is left standing, and nothing late lets anybody go."""

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import JournalFull
from runtime.step import REST, Phase
from runtime.stores.backlog import Bound
from runtime.stores.memory import MemoryStore
from tests.fakes.studio import studio
from tests.fakes.world import text
from tests.faults.lost_debuggers import POLICIES, summed

TRIALS = 200
SHARES = 10


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_random_trials_of_lost_debuggers(share: int) -> None:
    size = TRIALS // SHARES
    tally = summed(range(share * size, (share + 1) * size))
    assert tally["trials"] == size
    # It was about something: they were lost while sessions stood, and both ways of going on were seen.
    assert tally["stops"] > size
    assert tally["let go by command"] > 0
    assert tally["let go by policy"] > 0
    assert tally["refused: stale"] > 0
    assert tally["lost in the step that stops"] > 0
    assert all(tally[f"policy {policy}"] for policy in POLICIES)


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_lost_debugger_s_policy_is_kept_when_the_journal_is_full_just_then(
    policy: str, autojump_clock: MockClock
) -> None:
    store = MemoryStore(bound=Bound(records=300))
    async with studio([100.0, text("done")], store=store) as house:
        session = house.open()
        ann = await house.driver(session, on_loss=policy, hold_seconds=60)
        house.world.say(session)
        await trio.sleep(1)
        await ann.ask("pause", session="s")
        store.hold()
        with suppress(JournalFull):
            while True:
                store.describe("s", "fills it")
        await ann.leave()
        await trio.sleep(200)
        assert session.state.hold is not None
        assert [one.split(":")[0] for one in house.complaints] == ["the audit of disconnect"]
        house.complaints.clear()
        store.release()
        await trio.sleep(300)
        assert session.state.phase in REST
        assert session.state.phase is (Phase.CANCELLED if policy == "cancel" else Phase.DONE)

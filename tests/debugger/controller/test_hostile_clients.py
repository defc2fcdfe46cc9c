"""Hostile frames and expressions, against the live engine: each is answered or ends its own connection."""

import pytest

from tests.debugger.controller.siege import SESSION, attacks, besieged

FRAMES = 600


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_client_sends_the_engine_lives_and_serves_others(seed: int) -> None:
    async with besieged() as siege:
        ann = await siege.house.client("ann", "observer")
        for attack in attacks(seed, FRAMES):
            await siege.send(attack)
        await siege.leave()
        assert (await ann.ask("status", session=SESSION))["session"] == SESSION
        assert siege.codes["ok"] > FRAMES // 20
        assert siege.codes["bad_expression"] > FRAMES // 50
        assert siege.codes["bad_frame"] > FRAMES // 50
        assert not siege.codes["internal"]
        assert siege.session.broken is None

"""How many connections a process lets itself have."""

import resource

import pytest

from runtime.app.openfiles import CONNECTIONS, LEAST, SPARE, most_connections

UNBOUNDED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (1024, UNBOUNDED, CONNECTIONS + SPARE, CONNECTIONS),
        (1024, 4096, 4096, 4096 - SPARE),
        (1024, 10**6, CONNECTIONS + SPARE, CONNECTIONS),
        (10**6, 10**6, None, CONNECTIONS),
        (UNBOUNDED, UNBOUNDED, None, CONNECTIONS),
        (256, 256, None, LEAST),
    ],
)
def test_the_bound_on_open_files_is_raised_as_far_as_it_helps(
    soft: int, hard: int, raised: int | None, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, bounds: given.append(bounds))
    assert most_connections() == connections
    assert given == ([] if raised is None else [(raised, hard)])

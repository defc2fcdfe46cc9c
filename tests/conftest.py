"""Profiles of hypothesis, and signals as a terminal gives them.

The default profile is the same on every run; `--hypothesis-profile=search` looks for new cases.
"""

import gc
import signal

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("search", max_examples=2000, deadline=None, database=None)
settings.load_profile("ci")

# A shell starts a job in the background (`pytest &`) with SIGINT ignored, and what the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what was collected, which stays, out of every look for garbage: some tests look at each step."""
    gc.collect()
    gc.freeze()

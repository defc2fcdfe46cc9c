"""Profiles of hypothesis. The default is the same on every run; `--hypothesis-profile=search` looks for new cases."""

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("search", max_examples=2000, deadline=None, database=None)
settings.load_profile("ci")

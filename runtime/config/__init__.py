"""The configuration of a run: settings files, environment, credentials, trust, places. Writes nothing.

The environment comes in as an argument, here and nowhere else. What cannot be understood is refused with one sentence
that names file and key.
"""

from runtime.config.credentials import Auth, auth
from runtime.config.files import read_text, tilde
from runtime.config.loading import load
from runtime.config.trust import require_trust
from runtime.config.values import Config, Trust

__all__ = ["Auth", "Config", "Trust", "auth", "load", "read_text", "require_trust", "tilde"]

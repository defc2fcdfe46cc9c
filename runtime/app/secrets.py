"""What this program knows to be secret: keys, tokens and passwords of its environment and of the gateway's settings.

A bundle must hold none of them, wherever a tool or the model may have repeated one.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from debugger.bundle.prose import names_secret
from debugger.bundle.secrets import SHORT
from runtime.config.openclaw import load
from runtime.config.openclaw.redact import secrets
from runtime.errors import TwinstepError

KEYS: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS", "AUTH")
"""What the name of a variable ends with that holds a secret, beside the names of `debugger.schema`."""
LEAST: Final = 8
"""Characters of a variable's value that is taken for a secret. Shorter ones are words such as `on` and `none`."""


def of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of variables that are secret by their names. The path of a file with a key is none."""
    for name, value in environ.items():
        named = names_secret(name) or name.rpartition("_")[2].upper() in KEYS
        if named and len(value.strip()) >= LEAST and not os.path.isabs(value):
            yield value.strip()


def of_settings(tree: Any) -> Iterator[str]:
    """Yield the secrets of the gateway's settings."""
    yield from (one for one in secrets(tree) if len(one) >= SHORT)


def of_setup(made: Any) -> Iterator[str]:
    """Yield what a running gateway (`runtime.app.setup.Setup`) knows to be secret."""
    yield from of_environment(made.environ)
    yield from of_settings(made.loaded.config.tree)
    yield from (one for one in (made.key, made.policy.token, made.policy.password) if one)
    yield from (value for _, value in made.headers if len(value) >= LEAST)


def of_machine(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is known without a gateway: the environment, and the settings where they can be read."""
    yield from of_environment(environ)
    try:
        found = load(environ, os.getcwd()).config
    except TwinstepError:
        return
    if found is not None:
        yield from of_settings(found.tree)

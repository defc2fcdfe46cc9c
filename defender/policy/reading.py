"""A bundle as a policy: TOML, checked key by key. Whole or not at all; what is wrong is one sentence with its path."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from defender.policy.kinds import Kind, Wrong
from defender.policy.model import CHANNELS, KEYS, Channel, Limits, Policy, ToolRule
from runtime.errors import SettingsError

LARGEST: Final = 262_144
"""Bytes that a bundle may have."""
NAMED: Final = ("channels", "tools")
"""Tables whose members have names that a person chooses, and of which each is a table."""
MOST_NAMED: Final = 1_000
NAME: Final = r"[A-Za-z0-9][\w.:*-]{0,99}"

_KINDS: Final[Mapping[str, Kind]] = {key.path: key.kind for key in KEYS}
_TABLES: Final = frozenset(path[:at] for path in _KINDS for at, sign in enumerate(path) if sign == ".")


class PolicyError(SettingsError):
    """A bundle cannot be used; nothing of it holds."""


def parsed(data: bytes, name: str) -> Policy:
    """Return the policy that a bundle sets. `name` is the file, for what is said. Raises PolicyError."""
    if len(data) > LARGEST:
        raise PolicyError(f"{name}: a policy has at most {LARGEST:,} bytes, not {len(data):,}")
    values = dict(_values(_tree(data, name), "", name))
    if "version" not in values:
        raise PolicyError(f"{name}: version must be there: version = 1")
    policy = _built(values)
    if policy.block < policy.review:
        raise PolicyError(f"{name}: thresholds.block must not be below thresholds.review ({policy.review})")
    if policy.limits.overlap >= policy.limits.slice:
        raise PolicyError(f"{name}: limits.overlap must be less than limits.slice ({policy.limits.slice})")
    return policy


def _tree(data: bytes, name: str) -> dict[str, Any]:
    import tomllib  # is loaded where there is a bundle

    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as exc:
        raise PolicyError(f"{name}: is not UTF-8 at byte {exc.start}") from exc
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise PolicyError(f"{name}: is not TOML: {str(exc) or 'nested too deeply'}") from exc


def _values(tree: Mapping[str, Any], above: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield path and checked value of everything that is set. Raises PolicyError."""
    if len(tree) > MOST_NAMED:
        raise PolicyError(f"{name}: {above.rstrip('.') or 'the policy'} has more than {MOST_NAMED:,} members")
    for key, value in tree.items():
        path = f"{above}{key}"
        general = _general(path, above)
        if general in _KINDS and not (general == "rules.*" and isinstance(value, dict)):
            yield path, _checked(_KINDS[general], value, path, name)
        elif isinstance(value, dict) and (general in _TABLES or general == "rules.*"):
            if (above or general == "rules.*") and re.fullmatch(NAME, key) is None:
                raise PolicyError(f"{name}: {above}{key!r} is not a name that can be used here")
            yield from _values(value, f"{path}.", name)
        elif general in _TABLES:
            raise PolicyError(f"{name}: {path} must be a table, not {_called(value)}")
        else:
            raise PolicyError(f"{name}: {path} is no key of a policy")


def _general(path: str, above: str) -> str:
    head, _, _ = above.partition(".")
    if head == "rules":  # names of rules have dots themselves
        return "rules.*"
    parts = above.rstrip(".").split(".") if above else []
    own = path.removeprefix(above)
    if head in NAMED:
        return f"{head}.*" if len(parts) == 1 else f"{head}.*.{own}"
    return path


def _checked(kind: Kind, value: Any, path: str, name: str) -> Any:
    try:
        return kind.check(value)
    except Wrong as exc:
        raise PolicyError(f"{name}: {path} must be {exc}, not {_called(value)}") from exc


def _called(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)[:40]
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else "a time"


def _built(values: Mapping[str, Any]) -> Policy:
    plain = {
        "name": "name",
        "serial": "serial",
        "thresholds.review": "review",
        "thresholds.block": "block",
        "weighing.corroboration": "corroboration",
        "consent.rules": "consent",
        "results.review": "result_review",
        "replies.review": "reply_review",
        "approvals.seconds": "approval_seconds",
        "approvals.always": "always",
        "events.per_second": "events_per_second",
    }
    set_ = {member: values[path] for path, member in plain.items() if path in values}
    channels, tools, rules, limits = dict(CHANNELS), dict[str, ToolRule](), {}, {}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        name, _, member = rest.rpartition(".")
        if head == "channels":
            channels[name] = evolve(channels.get(name, Channel()), **{member: value})
        elif head == "tools":
            tools[name] = evolve(tools.get(name, ToolRule()), **{member: value})
        elif head == "rules":
            rules[rest] = value
        elif head == "limits":
            limits[rest] = value
    return Policy(**set_, channels=channels, tools=tools, rules=rules, limits=Limits(**limits))

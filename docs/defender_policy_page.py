"""The page of the defender's policy: every key with its type, its value where nobody sets it, and what it is."""

from collections.abc import Iterator

from defender.policy.model import CHANNELS, CHANNELS_ABOUT, KEYS, Key
from docs.markdown import MADE, code, table

HEAD = f"""# The defender's policy

{MADE}
What the defender decides by is a TOML file, `defender/policy.toml` in the state folder, unless the settings name
another one ([how](../how-to/defend-an-agent.md#the-policy)). It is read whole or not at all: one wrong key, and the
policy that was in force stays. A key that is not on this page is refused.

Where there is no such file, the built-in policy holds: the values of the third column.

"""
CHANNELS_HEAD = """
## Ways

By which way something comes says how much its score counts (`channels.NAME.weight`) and what it may lead to at most
(`channels.NAME.most`). A name that is not in this table gets a row of its own in a policy.

"""


def page() -> str:
    """Return the page."""
    rows = [(code(key.path), key.kind.told, shown(key), key.meaning) for key in KEYS]
    ways = [
        (code(name), f"{channel.weight:g}", channel.most.value, CHANNELS_ABOUT[name])
        for name, channel in CHANNELS.items()
    ]
    return (
        HEAD
        + table(("Key", "Takes", "Default", "Meaning"), rows)
        + CHANNELS_HEAD
        + table(("Way", "Weight", "At most", "What comes by it"), ways)
        + "\n## The built-in policy as a file\n\n```toml\n"
        + "\n".join(lines())
        + "\n```\n"
    )


def shown(key: Key) -> str:
    """The default of a key."""
    if key.default is None:
        return "what the rule demands by itself"
    if key.path in ("channels.*.weight", "channels.*.most"):
        return f"{code(plain(key.default))}, but see [ways](#ways)"
    return code(plain(key.default))


def plain(value: object) -> str:
    """A value as TOML has it."""
    value = getattr(value, "value", value)
    if isinstance(value, tuple):
        return "[" + ", ".join(plain(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def lines() -> Iterator[str]:
    """The built-in policy, line by line."""
    group = ""
    for key in KEYS:
        head, dot, name = key.path.partition(".")
        if "*" in key.path:
            continue
        if dot and head != group:
            group = head
            yield ""
            yield f"[{head}]"
        yield f"{name or head} = {plain(key.default)}"

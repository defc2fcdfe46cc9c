"""Session keys: what they look like, what they say, how they are made (CONTRACT section 5). Knows no session.

    agent:<agent>:<rest>        and the two sentinels `global` and `unknown`

Rules: a key has one form, and `normalise` gives it: lower-cased, except the ids that Signal and Matrix own; a bare name
belongs to the default agent, and no name is its main session; `agent:` without a rest is refused, never guessed at, and
so is what no store could keep.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, Literal

from attrs import frozen

from runtime.gateway.frames import invalid

MAIN: Final = "main"
SENTINELS: Final = frozenset({"global", "unknown"})
RESERVED: Final = ("subagent:", "cron:", "acp:")
"""What a key that a caller of the HTTP interface chooses may not begin with."""
SHOWN: Final = 120

ChatType = Literal["direct", "group", "channel"]

_SIGNAL_GROUP: Final = re.compile(r"(?:^|:)signal:group:([^:]+)", re.IGNORECASE)
_MATRIX_ROOM: Final = re.compile(r"(?:(?:agent:[^:]*:)+:*)?matrix:(?:channel|group):", re.IGNORECASE)
_INCOGNITO: Final = re.compile(r"(?:dashboard|subagent|internal-session-effects):incognito-[^:]+\Z")
_THREAD: Final = ":thread:"
_PEERS: Final[dict[str, ChatType]] = {"direct": "direct", "dm": "direct", "group": "group", "channel": "channel"}


class Kind(Enum):
    """What kind of session a key names. CUSTOM is a name that somebody chose."""

    MAIN = "main"
    DIRECT = "direct"
    GROUP = "group"
    CHANNEL = "channel"
    THREAD = "thread"
    CRON = "cron"
    HOOK = "hook"
    NODE = "node"
    SUBAGENT = "subagent"
    ACP = "acp"
    DASHBOARD = "dashboard"
    EXPLICIT = "explicit"
    OPENAI = "openai"
    OPENRESPONSES = "openresponses"
    GLOBAL = "global"
    UNKNOWN = "unknown"
    CUSTOM = "custom"


BACKGROUND: Final = frozenset({Kind.ACP, Kind.CRON, Kind.HOOK, Kind.SUBAGENT})
"""Sessions that no person talks in."""


@frozen
class Route:
    """Where the messages of a key come from and go to."""

    chat_type: ChatType
    peer: str
    channel: str | None = None
    account: str | None = None
    thread: str | None = None


def normalise(raw: str | None, agent: str = MAIN) -> str:
    """Return the one form of a key; `agent` is whose a bare name is. Raises GatewayError for one that is malformed."""
    text = (raw or "").strip()
    folded = _folded(text)
    if folded in SENTINELS:
        return folded
    owner, rest = agent, folded or MAIN
    if folded.startswith("agent:"):
        owner, _, rest = folded.removeprefix("agent:").partition(":")
    rest = rest.strip()
    if not owner.strip() or not rest or rest.startswith(":") or not keepable(text):
        raise invalid(f'malformed session key "{text[:SHOWN]}"')
    return _key(owner, rest)


def keepable(name: str) -> bool:
    """Whether a store can keep something under a name: Unicode, without halves of pairs and without a zero."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def agent_of(key: str) -> str:
    """The agent that a normal key belongs to; empty for a sentinel, which belongs to none."""
    return key.split(":", 2)[1] if key.startswith("agent:") else ""


def rest_of(key: str) -> str:
    """A normal key without the agent."""
    return key.split(":", 2)[2] if key.startswith("agent:") else key


def kind_of(key: str) -> Kind:
    """What kind of session a normal key names."""
    if key in SENTINELS:
        return Kind(key)
    rest = rest_of(key)
    if rest == MAIN:
        return Kind.MAIN
    for prefix, kind in _BEFORE_ROUTES:
        if rest.startswith(prefix):
            return kind
    if thread_of(key) is not None:
        return Kind.THREAD
    route = route_of(key)
    if route is not None:
        return Kind(route.chat_type)
    return next((kind for prefix, kind in _AFTER_ROUTES if rest.startswith(prefix)), Kind.CUSTOM)


def chat_type(key: str) -> ChatType | None:
    """Whether a normal key is of a conversation between two, in a group or in a channel; None where it does not say."""
    if rest_of(key) == MAIN:
        return "direct"
    route = route_of(key)
    return route.chat_type if route else None


def route_of(key: str) -> Route | None:
    """The peer that a normal key names, if it names one."""
    base, thread = base_of(key), thread_of(key)
    parts = rest_of(base).split(":")
    for at, channel, account in _places(parts):
        peer = ":".join(parts[at + 1 :])
        if parts[at] in _PEERS and peer:
            return Route(_PEERS[parts[at]], peer, channel, account, thread)
    return None


def thread_of(key: str) -> str | None:
    """The thread that a normal key names, if it names one."""
    _, mark, thread = key.rpartition(_THREAD)
    return thread or None if mark else None


def base_of(key: str) -> str:
    """A normal key without its thread."""
    return key.rpartition(_THREAD)[0] if thread_of(key) is not None else key


def is_incognito(key: str) -> bool:
    """Whether a normal key is of a session that is not kept."""
    return key.startswith("agent:") and _INCOGNITO.match(rest_of(key)) is not None


def main(agent: str) -> str:
    """The main session of an agent."""
    return _key(agent, MAIN)


def direct(agent: str, peer: str, channel: str | None = None, account: str | None = None) -> str:
    """The conversation with one peer: of this agent, of one channel, or of one account on it."""
    places = (channel, account or "default") if account and channel else (channel,) if channel else ()
    return _key(agent, *places, "direct", peer)


def group(agent: str, channel: str, place: str, kind: Literal["group", "channel"] = "group") -> str:
    """A group or a channel of a messenger."""
    return _key(agent, channel, kind, place)


def thread(base: str, thread_id: str) -> str:
    """A thread in what another key names."""
    return f"{base}{_THREAD}{_folded(thread_id.strip())}"


def topic(base: str, topic_id: str) -> str:
    """A topic in a Telegram group."""
    return f"{base}:topic:{_folded(topic_id.strip())}"


def cron(agent: str, job: str, run: str | None = None) -> str:
    """A job, or one run of it."""
    return _key(agent, "cron", job) if run is None else _key(agent, "cron", job, "run", run)


def hook(agent: str, call: str) -> str:
    """One call of a hook."""
    return _key(agent, "hook", call)


def node(agent: str, node_id: str) -> str:
    """The session that belongs to a node."""
    return _key(agent, f"node-{node_id}")


def subagent(agent: str, run: str, parent: str | None = None) -> str:
    """A session that another one started. Below a subagent the word is repeated."""
    if parent is not None and kind_of(parent) is Kind.SUBAGENT:
        return f"{parent}:subagent:{_folded(run)}"
    return _key(agent, "subagent", run)


def dashboard(agent: str, session: str, *, incognito: bool = False) -> str:
    """A session that was made in the UI."""
    return _key(agent, "dashboard", f"incognito-{session}" if incognito else session)


def reserved(name: str) -> bool:
    """Whether a caller of the HTTP interface may not choose this key, with or without an agent."""
    folded = _folded(name.strip())
    return rest_of(folded if folded.count(":") > 1 else name.strip().lower()).startswith(RESERVED)


def _key(agent: str, *parts: str) -> str:
    return f"agent:{agent.strip().lower()}:{_folded(':'.join(parts).strip())}"


def _places(parts: list[str]) -> Iterator[tuple[int, str | None, str | None]]:
    """Where the kind of peer may stand: first, after a channel, after a channel and an account."""
    if parts[0] == "agent":
        return
    yield 0, None, None
    if len(parts) > 2 and parts[0]:
        yield 1, parts[0], None
    if len(parts) > 3 and parts[0] and parts[1]:
        yield 2, parts[0], parts[1]


def _folded(text: str) -> str:
    """A text in lower case, but for the ids that a provider tells apart by case."""
    folded = text.lower()
    if "signal:" not in folded and "matrix:" not in folded:
        return folded
    kept = sorted(_kept(text))
    pieces, at = [], 0
    for start, end in kept:
        if start >= at:
            pieces += [text[at:start].lower(), text[start:end]]
            at = end
    return "".join((*pieces, text[at:].lower()))


def _kept(text: str) -> Iterator[tuple[int, int]]:
    """Where the ids of Signal groups, Matrix rooms and their threads stand."""
    for found in _SIGNAL_GROUP.finditer(text):
        yield found.span(1)
    room = _MATRIX_ROOM.match(text)
    if room is None:
        return
    marks = [mark.start() for mark in re.finditer(_THREAD, text[room.end() :], re.IGNORECASE)]
    if not marks:
        yield room.end(), len(text)
        return
    mark = room.end() + marks[-1]
    yield room.end(), mark
    yield mark + len(_THREAD), len(text)


_BEFORE_ROUTES: Final = (("subagent:", Kind.SUBAGENT), ("acp:", Kind.ACP), ("cron:", Kind.CRON))
_AFTER_ROUTES: Final = (
    ("dashboard:", Kind.DASHBOARD),
    ("explicit:", Kind.EXPLICIT),
    ("hook:", Kind.HOOK),
    ("node-", Kind.NODE),
    ("node:", Kind.NODE),
    ("openai:", Kind.OPENAI),
    ("openai-user:", Kind.OPENAI),
    ("openresponses:", Kind.OPENRESPONSES),
)

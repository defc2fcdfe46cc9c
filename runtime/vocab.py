"""Words that every package shares: closed sets and small frozen values. Reads nothing, waits for nothing."""

import json
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, Literal, TypeVar

from attrs import field, fields, frozen

JsonObject = Mapping[str, Any]
"""A JSON object as it came off the wire. By convention nobody changes one: a change is a new object."""

DIGEST_SIZE: Final = 16
MOST_TOKENS: Final = 2**53
"""A count of tokens is below this; JSON readers keep larger numbers no longer exactly."""
DEEPEST: Final = 100
"""How deep JSON from outside may be nested. Far below what any encoder or reader of it takes, on any stack."""
SKIP_SIGNATURE: Final = "skip_thought_signature_validator"
"""Stands in where the API wants a thought signature and the model gave none (AGENT_LOOP section 1)."""
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8; lone surrogates become U+FFFD, because the wire refuses them."""
    text = _JSON.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def nested_within(value: object, most: int = DEEPEST) -> bool:
    """Whether a JSON value is nested at most this deep."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def digest(*pieces: bytes) -> bytes:
    """Return a 16-byte BLAKE2b digest over the pieces, each framed by its length."""
    state = blake2b(digest_size=DIGEST_SIZE)
    for piece in pieces:
        state.update(len(piece).to_bytes(8, "big"))
        state.update(piece)
    return state.digest()


_PLANS: Final[dict[type, tuple[Any, dict[str, int]]]] = {}
T = TypeVar("T")


def evolve(value: T, **changes: Any) -> T:
    """Return a copy of a frozen value with some members changed, as `attrs.evolve` does, in half the time.

    A step makes three or four such copies, which makes this its largest single cost. Raises KeyError for a member that
    the class does not have.
    """
    kind = value.__class__
    plan = _PLANS.get(kind)
    if plan is None:
        names = [member.name for member in fields(kind)]  # type: ignore[arg-type]
        plan = _PLANS[kind] = (attrgetter(*names), {name: place for place, name in enumerate(names)})
    members = list(plan[0](value)) if len(plan[1]) > 1 else [plan[0](value)]
    places = plan[1]
    for name, changed in changes.items():
        members[places[name]] = changed
    return kind(*members)


class EffectClass(Enum):
    """What it means to run an effect again (DESIGN f.10)."""

    PURE = "pure"
    IDEMPOTENT = "idempotent"
    COMPENSABLE = "compensable"
    IRREVERSIBLE = "irreversible"

    @property
    def repeatable(self) -> bool:
        """Whether a second run after a crash changes nothing that the first did not."""
        return self in (EffectClass.PURE, EffectClass.IDEMPOTENT)


class Decision(Enum):
    """What a judge says. Whoever cannot decide says review."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


@frozen
class Verdict:
    """A decision with the rule that made it and the reason a person reads.

    `score` in [0, 1] is how great the risk was taken to be, None where nobody weighed it. `evidence` are short lines
    about what it was found in: for a judge of provenance, the chain of what brought the values.
    """

    decision: Decision
    rule: str
    reason: str = ""
    error_type: str = "policy_violation"
    score: float | None = None
    evidence: tuple[str, ...] = ()

    @property
    def plain(self) -> tuple[object, ...]:
        """The verdict as a tuple of plain values, for digests. What a verdict of old had not counts where it is set."""
        said = (self.decision.value, self.rule, self.reason, self.error_type)
        return said if self.score is None and not self.evidence else (*said, self.score, list(self.evidence))


class ApprovalMode(Enum):
    """Flag spelling of the approval modes (AGENT_LOOP section 3)."""

    DEFAULT = "default"
    AUTO_EDIT = "auto_edit"
    YOLO = "yolo"
    PLAN = "plan"


@frozen
class Content:
    """One entry of the conversation: a role, its parts as they stand on the wire, and where they came from.

    `labels` name the provenance of the parts (for example `user`, `tool:web_fetch`); they never reach the model.
    """

    role: Literal["user", "model"]
    parts: tuple[JsonObject, ...]
    labels: tuple[str, ...] = ()

    @cached_property
    def wire(self) -> bytes:
        """The content as JSON, with call ids stripped of their tool prefix and thoughts left out. Made once."""
        return encode({"parts": [wire_part(part) for part in self.parts if not part.get("thought")], "role": self.role})

    @cached_property
    def signed(self) -> bytes:
        """Like `wire`, with the fixed signature on the first call if the model signed none of its calls' first."""
        parts = [wire_part(part) for part in self.parts if not part.get("thought")]
        for part in parts:
            if "functionCall" in part:
                part.setdefault("thoughtSignature", SKIP_SIGNATURE)
                break
        return encode({"parts": parts, "role": self.role})

    @cached_property
    def digest(self) -> bytes:
        """Digest of role, parts and labels."""
        return digest(encode([self.role, self.parts, self.labels]))

    @property
    def is_results(self) -> bool:
        """Whether this is a user content that answers tool calls."""
        return self.role == "user" and any("functionResponse" in part for part in self.parts)

    @property
    def text(self) -> str:
        """The visible text: thoughts left out."""
        return "".join(str(part.get("text", "")) for part in self.parts if not part.get("thought"))


def wire_part(part: JsonObject) -> dict[str, Any]:
    """Return a copy of `part` as the API wants it: call ids without the tool prefix (AGENT_LOOP section 1)."""
    out = dict(part)
    if "functionCall" not in out and "functionResponse" not in out:
        return out
    for key in ("functionCall", "functionResponse"):
        half = out.get(key)
        if isinstance(half, Mapping) and isinstance(half.get("id"), str):
            out[key] = {**half, "id": wire_call_id(str(half.get("name", "")), half["id"])}
    return out


def wire_call_id(tool: str, call: str) -> str:
    """Return the id of a call as the API knows it: `<tool>__<id>` without the prefix."""
    return call.removeprefix(f"{tool}__")


@frozen
class Toolset:
    """The tools offered to the model: names, the ones that may not run in parallel, and the declarations as JSON."""

    names: tuple[str, ...] = ()
    serial: tuple[str, ...] = ()
    effects: Mapping[str, str] = field(factory=dict)
    declarations: str = "[]"

    @cached_property
    def digest(self) -> bytes:
        """Digest of names and declarations."""
        return digest(
            encode([self.names, self.serial, sorted(self.effects.items())]), self.declarations.encode(errors="replace")
        )


@frozen
class Terms:
    """How whoever sent a message wants the model to be asked for its answer.

    `tools` are functions that the sender runs itself: a call of one ends the prompt, and what came of it is said with
    the next message. `choice` is the member `toolConfig` of each request, `extra` further members of
    `generationConfig` (`runtime.ports.ModelRequest`).
    """

    tools: Toolset = field(factory=Toolset)
    choice: JsonObject | None = None
    extra: JsonObject | None = None

    @cached_property
    def plain(self) -> list[Any]:
        """The members as JSON, for digests."""
        return [self.tools.digest.hex(), self.choice, self.extra]


@frozen
class Message:
    """What a person or a program said to a session: parts for the model, and the text as it was given.

    `terms` hold for the requests of the prompt that the message opens; one that steers brings none.
    """

    id: str
    text: str
    parts: tuple[JsonObject, ...]
    sender: str = "user"
    labels: tuple[str, ...] = ("user",)
    terms: Terms | None = None


@frozen
class ToolError:
    """Why a tool gave no output. `type` is one of the strings of AGENT_LOOP section 2."""

    type: str
    message: str


@frozen
class Tape:
    """A place in a file of recorded responses: the next line, and lines beyond it that are already used."""

    next: int = 0
    used: tuple[int, ...] = ()

    def taking(self, line: int) -> "Tape":
        """Return the place after `line` was used."""
        used = {*self.used, line}
        place = self.next
        while place in used:
            used.discard(place)
            place += 1
        return Tape(place, tuple(sorted(used)))


@frozen
class ToolResult:
    """What a tool call came to.

    Exactly one of `output` (text for the model) and `error` is set. `display` is what a person sees, None where the
    peer shows an object instead of a string. `parts` are further parts for the model (binary content). `lines` used
    of a recording are in `tape`. `added` and `removed` count changed lines of files. `details` are facts for programs
    that watch; the model never sees them.
    """

    output: str | None = None
    error: ToolError | None = None
    display: str | None = None
    parts: tuple[JsonObject, ...] = ()
    labels: tuple[str, ...] = ()
    tape: tuple[int, ...] = ()
    added: int = 0
    removed: int = 0
    milliseconds: int = 0
    details: JsonObject | None = None

    @classmethod
    def failed(cls, kind: str, message: str, display: str | None = None) -> "ToolResult":
        """Return a result that reports an error to the model and shows `display` (default: the message)."""
        return cls(error=ToolError(kind, message), display=message if display is None else display)

    @property
    def response(self) -> dict[str, str]:
        """The `response` object of a functionResponse."""
        return {"error": self.error.message} if self.error else {"output": self.output or ""}

    @cached_property
    def digest(self) -> bytes:
        """Digest over everything but `milliseconds`, which differs from run to run."""
        error = (self.error.type, self.error.message) if self.error else None
        members: list[object] = [self.output, error, self.display, self.parts, self.labels, self.tape]
        members += [self.added, self.removed]
        if self.details is not None:  # results in journals from before there were details keep their digest
            members.append(self.details)
        return digest(encode(members))


@frozen
class Flow:
    """What a tool does with values: what a judge must know to follow them.

    `effect` is what the call does: nothing, ask an address for something, change the workspace, send something out, or
    more than that. `sinks` are the arguments that say where something goes, `contents` those that say what; by name,
    and `*` for all. `result` says what comes back: trusted, untrusted, or an echo of what the call was given.
    """

    effect: Literal["none", "fetch", "local", "egress", "privileged"] = "privileged"
    sinks: tuple[str, ...] = ("*",)
    contents: tuple[str, ...] = ()
    result: Literal["trusted", "untrusted", "echo"] = "untrusted"


UNKNOWN_FLOW: Final = Flow()
"""The flow of a tool that says none: it may do anything, and all that it is given says where to."""


@frozen
class ToolSpec:
    """What a tool is: its name and parameters as the model sees them, and what running it means.

    `parallel` says whether it may share a wave with its neighbours (AGENT_LOOP section 2). `kind` groups tools for
    approval: `read`, `edit`, `execute`, `fetch`. `flow` is for the judge.
    """

    name: str
    description: str
    parameters: JsonObject
    effect: EffectClass
    kind: Literal["read", "edit", "execute", "fetch"]
    parallel: bool = True
    flow: Flow = UNKNOWN_FLOW

    @property
    def declaration(self) -> dict[str, Any]:
        """The function declaration of the API (API section "Request body")."""
        return {"name": self.name, "description": self.description, "parametersJsonSchema": self.parameters}


@frozen
class Usage:
    """Token counts as the API reports them (API section "Stream"), in tokens."""

    prompt: int = 0
    candidates: int = 0
    total: int = 0
    cached: int = 0
    thoughts: int = 0
    tool: int = 0

    @classmethod
    def of(cls, metadata: JsonObject) -> "Usage":
        """Read a `usageMetadata` object; what is missing, or no count that can be, counts as 0."""

        def count(key: str) -> int:
            value = metadata.get(key)
            if not isinstance(value, int) or isinstance(value, bool):
                return 0
            return value if 0 <= value < MOST_TOKENS else 0

        return cls(
            count("promptTokenCount"),
            count("candidatesTokenCount"),
            count("totalTokenCount"),
            count("cachedContentTokenCount"),
            count("thoughtsTokenCount"),
            count("toolUsePromptTokenCount"),
        )

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        return Usage(
            self.prompt + other.prompt,
            self.candidates + other.candidates,
            self.total + other.total,
            self.cached + other.cached,
            self.thoughts + other.thoughts,
            self.tool + other.tool,
        )

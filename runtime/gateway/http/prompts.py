"""A whole conversation of a request as one message of a session. Pure.

Who calls the OpenAI interfaces brings the conversation along with each request. What was said before the last message
stands in front of it as text, what the application instructs as a part of its own before that (the session has one
system text, and that is the agent's). Images are taken as data, never fetched.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from attrs import frozen

from runtime.provenance import PERSON, Integrity, mark
from runtime.vocab import JsonObject

IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif"})
IMAGE_BYTES: Final = 10_485_760
ALL_BYTES: Final = 20_971_520
MOST_IMAGES: Final = 8
ONLY_IMAGES: Final = "(an image and no words)"
ONLY_FILES: Final = "(a file and no words)"

Who = Literal["user", "assistant", "tool"]


@frozen
class Said:
    """One message of the conversation. `call` names the call that a tool's result belongs to."""

    who: Who
    text: str
    call: str = ""

    @property
    def line(self) -> str:
        """The message with who said it."""
        name = {"user": "User", "assistant": "Assistant", "tool": "Tool"}[self.who]
        return f"{name}:{self.call}: {self.text}" if self.call else f"{name}: {self.text}"


class NoImage(ValueError):
    """Something that was sent as an image cannot be used as one."""


def labels(said: Sequence[Said]) -> tuple[str, ...]:
    """Where a conversation came from: a person, and what the application's own functions brought, if any did."""
    brought = any(one.who == "tool" for one in said)
    return (*PERSON, mark(Integrity.UNTRUSTED, "tool:client")) if brought else PERSON


def folded(said: Sequence[Said]) -> str:
    """The message to answer: the last of a user or a tool, and what came before it. What came after is left out."""
    if not said:
        return ""
    last = max((n for n, one in enumerate(said) if one.who != "assistant"), default=len(said) - 1)
    before, current = said[:last], said[last]
    if not before and current.who != "tool":
        return current.text
    lines = [one.line for one in before]
    head = ["[Said before, for context]", *lines, ""] if lines else []
    return "\n".join([*head, "[The message to answer]", current.line])


def call_line(name: str, arguments: str, call: str) -> str:
    """A call that the assistant made earlier, in words."""
    return f"(called {name} with {arguments or '{}'} as {call})"


def parts(instructions: Iterable[str], text: str, more: Sequence[JsonObject] = ()) -> tuple[JsonObject, ...]:
    """The parts of a message: what the application instructs, what was said, files and images."""
    told = "\n\n".join(one for one in instructions if one)
    head = f"Instructions of the application that this message came through:\n{told}"
    return (*([{"text": head}] if told else []), *([{"text": text}] if text else []), *more)


def image(data: str, kind: str) -> JsonObject:
    """The part of an image in base64. Raises NoImage."""
    if kind not in IMAGES:
        raise NoImage(f"{kind or 'an image of unknown kind'} is not taken; {', '.join(sorted(IMAGES))} are")
    size = len(unbased(data))
    if size > IMAGE_BYTES:
        raise NoImage(f"an image of {size} bytes is larger than {IMAGE_BYTES}")
    return {"inlineData": {"mimeType": kind, "data": data}}


def unbased(data: str) -> bytes:
    """The bytes of a base64 text. Raises NoImage."""
    try:
        raw = b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise NoImage("the data is not base64") from exc
    if not raw:
        raise NoImage("there is no data")
    return raw


def data_url(url: str) -> tuple[str, str]:
    """Kind and base64 text of a `data:` URL. Raises NoImage for any other: nothing is fetched for a caller."""
    head, comma, data = url.strip().partition(",")
    if head[:5].lower() != "data:" or not comma:
        raise NoImage("only data: URLs are taken, nothing is fetched")
    kind, *marks = (word.strip().lower() for word in head[5:].split(";"))
    if "base64" not in marks:
        raise NoImage("a data: URL must be in base64")
    return kind, data


def checked(images: Sequence[JsonObject]) -> Sequence[JsonObject]:
    """The images, if they are not too many and not too large together. Raises NoImage."""
    if len(images) > MOST_IMAGES:
        raise NoImage(f"{len(images)} images are more than {MOST_IMAGES}")
    size = sum(len(one["inlineData"]["data"]) * 3 // 4 for one in images)
    if size > ALL_BYTES:
        raise NoImage(f"the images have {size} bytes together, more than {ALL_BYTES}")
    return images

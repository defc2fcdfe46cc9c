"""A message and its attachments as parts for the model. Refuses what is too large, unreadable or of a kind unknown."""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runtime.gateway.frames import invalid
from runtime.vocab import JsonObject

MOST_BYTES: Final = 20_971_520
MOST_IMAGE: Final = 6_291_456
MOST: Final = 20
KINDS: Final = ("image/", "audio/", "video/", "application/pdf", "text/")


def parts_of(text: str, attachments: Sequence[Mapping[str, Any]] = ()) -> tuple[JsonObject, ...]:
    """Return the parts of a message; none where there is nothing to say. Raises GatewayError."""
    if len(attachments) > MOST:
        raise invalid(f"at most {MOST} attachments")
    said: tuple[JsonObject, ...] = ({"text": text},) if text.strip() else ()
    return (*said, *(_part(one, n) for n, one in enumerate(attachments)))


def _part(given: Mapping[str, Any], number: int) -> JsonObject:
    at = f"at /attachments/{number}"
    if not isinstance(given, Mapping):
        raise invalid(f"{at}: must be object")
    data, mime = given.get("content", given.get("data")), str(given.get("mimeType") or given.get("contentType") or "")
    if not isinstance(data, str) or not data:
        raise invalid(f"{at}: content required")
    if data.startswith("data:") and "," in data:
        head, data = data.split(",", 1)
        mime = mime or head[5:].split(";")[0]
    if not any(mime.startswith(kind) for kind in KINDS):
        raise invalid(f"{at}: {mime or 'a file of unknown kind'} cannot be attached")
    try:
        content = b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid(f"{at}: content must be base64") from exc
    most = MOST_IMAGE if mime.startswith("image/") else MOST_BYTES
    if len(content) > most:
        raise invalid(f"{at}: larger than {most} bytes")
    if mime.startswith("text/"):
        name = str(given.get("fileName") or "attachment")
        return {"text": f"[{name}]\n{content.decode('utf-8', 'replace')}"}
    return {"inlineData": {"mimeType": mime, "data": data}}

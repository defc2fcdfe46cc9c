"""What is asked for: a URL in one form, or the SHA-256 of a file, as VirusTotal names them. Pure; sends nothing.

Source: DEFENDER section 5. Of a URL the user, the password and the fragment are dropped before anything else is done
with it. The rest is written as a browser writes it, so that spellings of one address are one question.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final, Literal
from urllib.parse import quote

from attrs import frozen

from defender.intel.hosts import host_of

LONGEST: Final = 8_192
"""Characters of a URL that is looked up; none that a person means is longer."""
LONGEST_ID: Final = 1_024
"""Bytes of a URL up to which its id is its base64; the id of a longer one is its hash."""
PORTS: Final = {"http": "80", "https": "443"}
_URL: Final = re.compile(r"(https?):[/\\]*([^/\\?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_HASH: Final = re.compile("[0-9a-f]{64}")
_DOT: Final = re.compile(r"\.|%2e", re.IGNORECASE)
_KEPT_PATH: Final = "%/:@!$&'()*+,;=[]|~^"
_KEPT_QUERY: Final = "%/:@!$&()*+,;=?[]|~^`{}\\"


@frozen
class Question:
    """What one look-up asks. `name` stands in the path of the request, `shown` in evidence: a host, or a hash."""

    kind: Literal["url", "file"]
    name: str
    shown: str

    @property
    def path(self) -> str:
        """The path of the request, below the base."""
        return f"/{self.kind}s/{self.name}"


@frozen
class NoQuestion:
    """Why something is not looked up, in a few words."""

    why: str
    shown: str = ""


def about_url(url: object, *, hashed: bool = False) -> Question | NoQuestion:
    """Return the question about a URL. Never raises."""
    made = canonical(url)
    if isinstance(made, NoQuestion):
        return made
    text, host = made
    raw = text.encode()
    by_hash = hashed or len(raw) > LONGEST_ID
    name = sha256(raw).hexdigest() if by_hash else urlsafe_b64encode(raw).decode().rstrip("=")
    return Question("url", name, host)


def about_file(digest: object) -> Question | NoQuestion:
    """Return the question about a file of this SHA-256, in hex. Never raises."""
    text = digest.strip().lower() if isinstance(digest, str) and len(digest) < 100 else ""
    return Question("file", text, text) if _HASH.fullmatch(text) else NoQuestion("it is no SHA-256")


def canonical(url: object) -> tuple[str, str] | NoQuestion:
    """Return a URL in its one form, and its host; or why it is not looked up."""
    if not isinstance(url, str) or len(url) > LONGEST:
        return NoQuestion("it is no URL" if not isinstance(url, str) else f"it is longer than {LONGEST} characters")
    text = url.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    found = _URL.fullmatch(text)
    if found is None:
        return NoQuestion("it is no http or https URL")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4] or ""
    where, _, port = _parted(authority.rpartition("@")[2])
    host = host_of(where)
    if host.refused:
        return NoQuestion(host.refused, host.name)
    if port and not (port.isascii() and port.isdecimal() and int(port[:9]) < 65_536):
        return NoQuestion("its port is none", host.name)
    number = str(int(port)) if port else ""
    at = "" if number in ("", PORTS[scheme]) else f":{number}"
    written = f"{_path(path)}{_quoted(query, _KEPT_QUERY)}"
    return f"{scheme}://{host.name}{at}{written}", host.name


def _parted(text: str) -> tuple[str, str, str]:
    """Part a host from its port; the colons of an IPv6 address are its own."""
    if text.startswith("["):
        inside, _, rest = text.partition("]")
        return f"{inside}]", ":", rest.removeprefix(":")
    return text.rpartition(":") if ":" in text else (text, "", "")


def _path(path: str) -> str:
    """Return a path without steps up and down."""
    kept: list[str] = []
    parts = path.replace("\\", "/").split("/")[1:] if path else [""]
    for place, part in enumerate(parts):
        plain, last = _DOT.sub(".", part), place == len(parts) - 1
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(part)
        if last and plain in (".", ".."):
            kept.append("")
    return "/" + "/".join(_quoted(part, _KEPT_PATH) for part in kept)


def _quoted(text: str, kept: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe=kept)

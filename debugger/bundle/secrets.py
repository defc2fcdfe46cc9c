"""Which texts of a session are secret, and what stands in their place. Pure.

Secret is what `debugger.schema` says: the value of a secret field or key, wherever it stands; in JSON that is itself a
text; in a header, in a line of an environment and in an address; behind its name in plain text (`prose`). And whatever
the caller knows to be secret. The same secret has the same placeholder throughout, and is replaced in every text in
which it stands, also escaped: as JSON (also twice), in an address, in HTML, as base64 or hex.

A secret shorter than SHORT is replaced where it stands as a value and nowhere else: it is part of many words.
"""

import html
import json
import re
import shlex
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from attrs import define, field

from debugger.bundle.errors import CannotExport
from debugger.bundle.prose import names_secret, told_in_prose
from debugger.schema import is_secret
from runtime.vocab import nested_within

SHORT: Final = 6
"""Characters from which a secret is looked for in texts."""
MOST: Final = 1_000
"""Different secrets of one session."""
ENCODED: Final = 8
"""Bytes from which a secret is looked for as base64 and hex."""
PLACEHOLDER: Final = re.compile(r"\[secret-([0-9]{1,9})\]")

_HEADER: Final = re.compile(r"(?mi)^[<>* \t]*([a-z][a-z0-9-]{1,40}):[ \t]+([^\r\n]+)")
_VARIABLE: Final = re.compile(r"(?m)^[ \t]*(?:export[ \t]+|declare -x )?([A-Z][A-Z0-9_]{1,100})=([^\r\n]+)")
_PARAMETER: Final = re.compile(r"[?&;]([A-Za-z][A-Za-z0-9_-]{1,40})=([^&;#\s\"'<>\\]+)")
_SCHEME: Final = re.compile(r"(?i)(?:bearer|basic|token|digest)[ \t]+(\S.*)")
_ACCESS: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']*:([^\s/@\"']+)@")
"""The password in an address."""


def told_in(text: str) -> Iterator[str]:
    """Yield the secrets that a text tells by their names."""
    if ":" in text:
        for name, value in _HEADER.findall(text):
            if names_secret(name):
                yield (value := value.strip())
                if scheme := _SCHEME.fullmatch(value):
                    yield scheme[1]
        yield from _ACCESS.findall(text)
    if "=" in text:
        for name, value in (*_VARIABLE.findall(text), *_PARAMETER.findall(text)):
            if names_secret(name):
                yield (value := value.strip())
                yield value.strip("\"'")
    yield from told_in_prose(text)
    if text[:1] in "{[" or text.lstrip()[:1] in ("{", "["):
        yield from _scalars_of(text)


def _scalars_of(text: str) -> Iterator[str]:
    """Yield what stands in JSON under secret keys as text or number. An object there may be a schema, and is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not nested_within(value):
        return
    stack: list[Any] = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                if is_secret(key) and _is_value(inner):
                    yield str(inner)
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)


def _is_value(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts and numbers of a secret value, as texts."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    elif _is_value(value):
        yield str(value)


@lru_cache(MOST)
def forms(secret: str) -> tuple[str, ...]:
    """Return the ways in which a secret may stand in a text, the longest first."""
    made = {secret}
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        made |= {once, once.replace("/", "\\/"), json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    made |= {repr(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False), shlex.quote(secret).strip("'")}
    data = secret.encode("utf-8", "surrogatepass")
    for addressed in (quote(data, safe=""), quote(data), quote_plus(data)):
        made |= {addressed, re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), addressed)}
    if len(data) >= ENCODED:
        made |= {data.hex(), data.hex().upper(), *_base64(data)}
    return tuple(sorted((one for one in made if len(one) >= SHORT), key=lambda one: (-len(one), one)))


def _base64(data: bytes) -> Iterator[str]:
    """Yield the characters that some bytes have in base64 whatever stands around them, for each place in a group."""
    for before in range(3):
        whole = bytes(before) + data
        first, last = -(-before * 8 // 6), len(whole) * 8 // 6
        for encoded in (b64encode(whole), urlsafe_b64encode(whole)):
            yield encoded.decode()[first:last]


@define(eq=False)
class Secrets:
    """The secrets of one session: first all that are there are noticed, then they are replaced.

    `known` are those that the caller knows, wherever they stand. `found` has the placeholders of those that were seen,
    in their order. `places` counts what was replaced.
    """

    known: tuple[str, ...] = ()
    found: dict[str, str] = field(factory=dict)
    places: int = 0
    _number: int = 0
    _forms: dict[str, str] | None = None

    @classmethod
    def of(cls, known: Iterable[str]) -> "Secrets":
        """Begin with what the caller knows. What is too short to be looked for in a text is left out."""
        return cls(tuple(sorted({one for one in known if len(one.strip()) >= SHORT})))

    # --- noticing

    def notice(self, text: str) -> None:
        """Take note of the secrets in a text."""
        for one in told_in(text):
            self.learn(one)
        for one in self.known:
            if one not in self.found and any(form in text for form in forms(one)):
                self.learn(one)
        if "[secret-" in text:  # it was redacted before: the same number must not mean two
            self._number = max(self._number, *map(int, PLACEHOLDER.findall(text)), 0)

    def notice_value(self, value: Any) -> None:
        """Take note of a value that is secret as a whole."""
        if isinstance(value, str):
            self.learn(value)
        elif not isinstance(value, bool):
            for one in leaves(value):
                self.learn(one)

    def learn(self, secret: str) -> None:
        """Take note of a secret. What is a placeholder already is none. Raises CannotExport if there are too many."""
        if not secret.strip() or secret in self.found or PLACEHOLDER.fullmatch(secret):
            return
        if len(self.found) >= MOST:
            raise CannotExport(f"the session has more than {MOST:,} different secrets, and cannot be redacted")
        self.found[secret] = ""
        self._forms = None

    # --- replacing

    def placeholder(self, value: Any) -> Any:
        """Return what stands in the place of a secret value. What says nothing (null, a boolean, empty) stays."""
        if value is None or isinstance(value, bool) or value in ("", {}, [], ()):
            return value
        if isinstance(value, str) and (not value.strip() or PLACEHOLDER.fullmatch(value)):
            return value
        self.places += 1
        return self._mark(value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))

    def number(self, value: float) -> Any:
        """Return a number, or the placeholder of the secret that it is."""
        text = str(value)
        if len(text) < SHORT or text not in self.found:
            return value
        self.places += 1
        return self._mark(text)

    def clean(self, text: str) -> str:
        """Return a text with every secret in it replaced."""
        return text if (pattern := self.pattern(text)) is None else pattern.sub(lambda found: self.mark(found[0]), text)

    def pattern(self, text: str) -> "re.Pattern[str] | None":
        """Return what finds the secrets that stand in a text, None where none does."""
        there = [form for form in self._every() if form in text]
        return _compiled(tuple(there)) if there else None

    def mark(self, form: str) -> str:
        """Return the placeholder of a secret that was found in one of its forms; a placeholder stays as it is."""
        if PLACEHOLDER.fullmatch(form):
            return form
        self.places += 1
        return self._mark(self._every()[form])

    def _mark(self, secret: str) -> str:
        if not self.found.get(secret):
            self._number += 1
            self.found[secret] = f"[secret-{self._number}]"
        return self.found[secret]

    def _every(self) -> Mapping[str, str]:
        """All forms of all secrets that are looked for, the longest first."""
        if self._forms is None:
            every = {form: secret for secret in self.found if len(secret) >= SHORT for form in forms(secret)}
            self._forms = dict(sorted(every.items(), key=lambda item: (-len(item[0]), item[0])))
        return self._forms

    @property
    def replaced(self) -> int:
        """How many different secrets were replaced."""
        return sum(map(bool, self.found.values()))


@lru_cache(256)
def _compiled(there: tuple[str, ...]) -> "re.Pattern[str]":
    return re.compile("|".join((PLACEHOLDER.pattern, *map(re.escape, there))))

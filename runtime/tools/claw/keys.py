"""The bytes that a terminal gets for named keys (xterm), for `process` with send-keys. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

ESCAPE: Final = "\x1b"
PASTE: Final = "\x1b[200~"
PASTED: Final = "\x1b[201~"
NAMED: Final = {
    "enter": "\r",
    "return": "\r",
    "tab": "\t",
    "escape": ESCAPE,
    "esc": ESCAPE,
    "space": " ",
    "backspace": "\x7f",
    "bspace": "\x7f",
    "btab": "\x1b[Z",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    **{
        f"f{number}": f"\x1b[{code}~"
        for number, code in zip(range(5, 13), (15, 17, 18, 19, 20, 21, 23, 24), strict=True)
    },
}
ARROWS: Final = {"up": "A", "down": "B", "right": "C", "left": "D"}
TILDES: Final = {
    "home": 1,
    "insert": 2,
    "ic": 2,
    "delete": 3,
    "del": 3,
    "dc": 3,
    "end": 4,
    "pageup": 5,
    "pgup": 5,
    "ppage": 5,
    "pagedown": 6,
    "pgdn": 6,
    "npage": 6,
}
WEIGHTS: Final = {"s": 1, "m": 2, "c": 4}
"""Shift, meta and control, as xterm counts them."""


class Encoded(NamedTuple):
    """The bytes, and what was not understood."""

    data: bytes
    warnings: tuple[str, ...]


def encoded(keys: Sequence[str] = (), hexes: Sequence[str] = (), literal: str = "") -> Encoded:
    """Return the bytes of a literal text, of hexadecimal bytes, and of keys, in this order."""
    warnings: list[str] = []
    data = bytearray(literal.encode(errors="replace"))
    for text in hexes:
        plain = text.lower().removeprefix("0x")
        if 0 < len(plain) <= 2 and all(sign in "0123456789abcdef" for sign in plain):
            data.append(int(plain, 16))
        else:
            warnings.append(f"Invalid hex byte: {text}")
    for key in keys:
        data += _key(key.strip(), warnings).encode(errors="replace")
    return Encoded(bytes(data), tuple(warnings))


def pasted(text: str, *, bracketed: bool) -> str:
    """Return a text as a terminal sends what was pasted; it cannot end the brackets itself."""
    return PASTE + text.replace(PASTED, "") + PASTED if bracketed else text


def _key(token: str, warnings: list[str]) -> str:
    if len(token) == 2 and token[0] == "^" and (control := _control(token[1])):
        return control
    held, base = 0, token
    while len(base) > 2 and base[1] == "-" and base[0].lower() in WEIGHTS:
        held |= WEIGHTS[base[0].lower()]
        base = base[2:]
    name = base.lower()
    if name == "tab" and held & 1:
        return "\x1b[Z"
    if name in ARROWS:
        return f"\x1b[1;{held + 1}{ARROWS[name]}" if held else f"\x1b[{ARROWS[name]}"
    if name in TILDES:
        return f"\x1b[{TILDES[name]};{held + 1}~" if held else f"\x1b[{TILDES[name]}~"
    found = NAMED.get(name)
    if found is None:
        if len(base) != 1:
            if held:
                warnings.append(f'Unknown key "{base}" for modifiers; sending literal.')
            return base
        found = base.upper() if held & 1 else base
        found = (_control(found) or found) if held & 4 else found
    return ESCAPE + found if held & 2 else found


def _control(char: str) -> str:
    if char == "?":
        return "\x7f"
    code = ord(char.upper()) if char.isascii() else 0
    return chr(code & 31) if 64 <= code <= 95 else ""

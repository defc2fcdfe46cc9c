"""From the text of openclaw.json to one tree: JSON5, `$include`, `${VARIABLE}` (CONTRACT section 11). Writes nothing.

Plain JSON takes the fast way; the library for JSON5 is slow, so it sees small texts only. Size, depth and number of
files are bounded. As there, a variable that is not set is a warning and its name stays in the value: whoever needs the
value has to ask `unresolved`.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from attrs import field, frozen

from runtime.config.files import inside, read_text
from runtime.config.openclaw.issues import Issue, below
from runtime.config.shape import called
from runtime.errors import SettingsError
from runtime.vocab import JsonObject, nested_within

INCLUDE: Final = "$include"
LARGEST: Final = 2 << 20
"""Bytes of one file."""
LARGEST_JSON5: Final = 128 << 10
"""Characters of a text that is JSON5 and not JSON: the library needs some 30 microseconds for each."""
DEEPEST: Final = 60
MOST_INCLUDES: Final = 10
"""How deep files may include each other."""
MOST_FILES: Final = 100
LONGEST_PATH: Final = 4096

_VARIABLE: Final = re.compile(r"\$?\$\{([A-Z_][A-Z0-9_]*)\}")
_PLACE: Final = re.compile(r":(\d+) Unexpected (.+?) at column (\d+)$", re.DOTALL)


class Unreadable(SettingsError):
    """A text is no JSON5, or goes beyond a bound. `path` is the key below which the trouble is."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


@frozen
class Place:
    """Where files may be included from: the folder of the settings, and folders that the environment allows."""

    path: Path
    roots: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder below which an included file may be."""
        return tuple(os.path.normpath(folder) for folder in (self.path.parent, *self.roots))


@frozen
class Included:
    """A tree in which every `$include` is replaced, and the files that were read for it."""

    tree: Any = field(repr=False)
    files: tuple[Path, ...] = ()


def parse(text: str) -> Any:
    """Read JSON, or else JSON5. Raises Unreadable with line and column, as the peer words it."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as exc:
        raise Unreadable("nested too deeply") from exc
    except ValueError:
        value = _json5(text)
    return _sound(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _json5(text: str) -> Any:
    if len(text) > LARGEST_JSON5:
        raise Unreadable(f"JSON5 of more than {LARGEST_JSON5} characters; write it as plain JSON")
    if not text.strip():
        raise Unreadable("SyntaxError: JSON5: invalid end of input at 1:1")
    import json5

    try:
        return json5.loads(text)
    except RecursionError as exc:
        raise Unreadable("nested too deeply") from exc
    except ValueError as exc:
        raise Unreadable(_syntax(str(exc))) from exc


def _syntax(message: str) -> str:
    """Word an error of the library as the peer does (trace config/set_unparsable)."""
    found = _PLACE.search(message)
    if found is None:
        return "SyntaxError: JSON5: invalid text"
    line, what, column = found.groups()
    thing = "end of input" if what == "end of input" else f"character '{what[1:-1]}'"
    return f"SyntaxError: JSON5: invalid {thing} at {line}:{column}"


def _sound(value: Any) -> Any:
    """Refuse what could not be written again: too deep, numbers without end, halves of characters."""
    if not nested_within(value, DEEPEST):
        raise Unreadable(f"nested deeper than {DEEPEST}")
    rest: list[tuple[Any, str]] = [(value, "")]
    while rest:
        here, path = rest.pop()
        match here:
            case dict():
                for key, inner in here.items():
                    _whole(key, path)
                    rest.append((inner, below(path, key)))
            case list():
                rest += [(inner, below(path, number)) for number, inner in enumerate(here)]
            case str():
                _whole(here, path)
            case float() if not math.isfinite(here):
                raise Unreadable("must be a finite number", path)
    return value


def _whole(text: str, path: str) -> None:
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Unreadable("has half of a character in it", path)


def read(path: Path) -> str | None:
    """Return the text of a settings file, or None where there is none. Raises Unreadable."""
    try:
        return read_text(path, LARGEST)
    except OSError as exc:
        raise Unreadable(f"{path}: cannot be read: {exc.strerror}") from exc


def included(tree: Any, place: Place, read: Callable[[Path], str | None] = read) -> Included:
    """Put the content of files in the place of every `$include`. Raises Unreadable.

    A list of files is merged in its order, and keys beside `$include` over that: objects in depth, lists one behind the
    other, and of anything else the later one wins.
    """
    files: list[Path] = []
    whole = _Inclusion(place, read, files).within(tree, (place.path,), "")
    if not nested_within(whole, DEEPEST):
        raise Unreadable(f"with what it includes, nested deeper than {DEEPEST}")
    return Included(whole, tuple(dict.fromkeys(files)))


@frozen
class _Inclusion:
    """One walk through files that include each other."""

    place: Place
    read: Callable[[Path], str | None]
    files: list[Path]

    def within(self, tree: Any, chain: tuple[Path, ...], path: str) -> Any:
        match tree:
            case list():
                return [self.within(item, chain, below(path, number)) for number, item in enumerate(tree)]
            case dict() if INCLUDE in tree:
                return self.replaced(tree, chain, path)
            case dict():
                return {key: self.within(item, chain, below(path, key)) for key, item in tree.items()}
        return tree

    def replaced(self, tree: dict[str, Any], chain: tuple[Path, ...], path: str) -> Any:
        named = tree[INCLUDE]
        if isinstance(named, str):
            found = self.file(named, chain, path)
        elif isinstance(named, list) and all(isinstance(name, str) for name in named):
            found = {}
            for name in named:
                found = merged(found, self.file(name, chain, path))
        else:
            raise Unreadable(f"$include must be a string or a list of strings, not {called(named)}", path)
        beside = {key: item for key, item in tree.items() if key != INCLUDE}
        if not beside:
            return found
        if not isinstance(found, dict):
            raise Unreadable("keys stand beside an $include whose file holds no object", path)
        return merged(found, self.within(beside, chain, path))

    def file(self, name: str, chain: tuple[Path, ...], path: str) -> Any:
        target = self.allowed(name, chain[-1].parent, path)
        if target in chain:
            circle = " -> ".join(map(str, (*chain, target)))
            raise Unreadable(f"files include each other in a circle: {circle}", path)
        if len(chain) > MOST_INCLUDES:
            raise Unreadable(f"files include each other more than {MOST_INCLUDES} deep, at {name}", path)
        if len(self.files) >= MOST_FILES:
            raise Unreadable(f"more than {MOST_FILES} files are included", path)
        self.files.append(target)
        text = self.read(target)
        if text is None:
            raise Unreadable(f"the included file {name} does not exist ({target})", path)
        try:
            inner = parse(text)
        except Unreadable as exc:
            raise Unreadable(f"the included file {name} cannot be read: {exc}", path) from exc
        return self.within(inner, (*chain, target), path)

    def allowed(self, name: str, folder: Path, path: str) -> Path:
        """Return the file that is meant. It has to be below an allowed folder by its name and by where links lead."""
        if "\0" in name or len(name) >= LONGEST_PATH:
            raise Unreadable("$include names no possible file", path)
        target = os.path.normpath(folder / name)
        real = [os.path.realpath(allowed) for allowed in self.place.folders]
        for where, folders, how in ((target, self.place.folders, "is"), (os.path.realpath(target), real, "leads")):
            if not any(inside(where, allowed) for allowed in folders):
                raise Unreadable(f"the included file {name} {how} outside of {self.place.path.parent}", path)
        return Path(target)


def merged(first: Any, second: Any) -> Any:
    """Return `second` laid over `first` as `$include` does it."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = {key: merged(first[key], second[key]) for key in first.keys() & second.keys()}
        return {**first, **second, **both}
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    return second


def substituted(tree: Any, environ: Mapping[str, str]) -> tuple[Any, tuple[Issue, ...]]:
    """Put variables into every string: `${NAME}`, upper case only; `$${NAME}` stays as `${NAME}`.

    Returns the tree, and a warning for each variable that is not set or empty; its `${NAME}` stays where it is.
    """
    warnings: list[Issue] = []

    def put(value: Any, path: str) -> Any:
        match value:
            case str() if "${" in value:
                return _VARIABLE.sub(lambda found: one(found, path), value)
            case list():
                return [put(item, below(path, number)) for number, item in enumerate(value)]
            case dict():
                return {key: put(item, below(path, key)) for key, item in value.items()}
        return value

    def one(found: re.Match[str], path: str) -> str:
        if found[0].startswith("$$"):
            return found[0][1:]
        value = environ.get(found[1], "")
        if not value:
            warnings.append(Issue(path, f"the environment variable {found[1]} is not set"))
        return value or found[0]

    return put(tree, ""), tuple(warnings)


def references(value: Any) -> tuple[str, ...]:
    """Return the variables that a string names."""
    if not isinstance(value, str) or "${" not in value:
        return ()
    return tuple(found[1] for found in _VARIABLE.finditer(value) if not found[0].startswith("$$"))


def unresolved(value: str) -> bool:
    """Whether a resolved string still is a variable that was not set, so that it stands for no value."""
    return _VARIABLE.fullmatch(value.strip()) is not None


def variables(tree: JsonObject, environ: Mapping[str, str], *files: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with what `env.vars` and .env files add to it: the first file wins over the others, all
    of them over `env.vars`, and what is set already over everything.

    None of them may set OPENCLAW_ variables: those decide which files are read.
    """
    env = tree.get("env")
    own = env.get("vars") if isinstance(env, Mapping) else None
    added: dict[str, str] = {}
    for names in (own if isinstance(own, Mapping) else {}, *reversed(files)):
        added |= {name: value for name, value in names.items() if _may_be_added(name, value)}
    return {**added, **{name: value for name, value in environ.items() if value or name not in added}}


def _may_be_added(name: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not name.startswith("OPENCLAW_") and not references(value)


def include_paths(tree: Any, path: str = "") -> Iterator[str]:
    """Return where a tree includes files."""
    match tree:
        case dict() if INCLUDE in tree:
            yield path
        case dict():
            for key, inner in tree.items():
                yield from include_paths(inner, below(path, key))
        case list():
            for number, inner in enumerate(tree):
                yield from include_paths(inner, below(path, number))

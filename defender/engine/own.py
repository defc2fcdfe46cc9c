"""What belongs to the defender itself: its keys, ledger, baseline, policy, and the settings that could switch it off.

A session's own tools must not read the keys, nor change any of it, whoever approved what in advance (`--yolo`):

    own.secret     a key, or a folder with one, is read: block
    own.state      ledger, anchor, baseline, keys are written: block
    own.settings   policy, settings, trusted folders are written, or a file with a gateway's token is read: review
    own.above      a command takes a whole folder in which they lie: review
    own.command    a command line of this program that decides for people (`quarantine release`, `integrity accept` ...)

Paths count as they really are, links resolved. Of a command, what its analysis knows counts: its words, with quotes,
variables and braces worked out; and the plain text of one that cannot be analysed. Asks the file system for links only.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from defender.findings import Assessment, Signal
from runtime.ports import Asked
from runtime.vocab import Decision

if TYPE_CHECKING:
    from defender.engine.reach import Analysed

CLEAR: Final = Assessment(0.0, Decision.ALLOW)
MOST_PATHS: Final = 400
"""Paths of one call whose links are resolved; what is beyond is taken as written."""
LONGEST: Final = 4_096
MOST_WORDS: Final = 1_000
"""Words of a command that are looked at; one with more is for a person."""
MOST_FOLDERS: Final = 4
"""Folders in which a relative path is looked for: that of the session, and those to which a command goes."""
LISTS: Final = frozenset(
    "ls cd pushd popd pwd stat du df test [ mkdir echo printf tree realpath readlink basename dirname find".split()
)
"""Programs that show names only, or nothing."""
READS: Final = LISTS | frozenset(
    "cat head tail less more grep egrep fgrep rg wc sha256sum md5sum file diff cmp jq sort uniq cut nl od".split()
)
_FINDS: Final = frozenset("-exec -execdir -ok -okdir -delete -fprint -fprintf -fls".split())
_SETTINGS: Final = re.compile(
    r"/\.gemini/(?:settings\.json|trustedfolders\.json|\.env|policies(?:/.*)?)|/openclaw\.json5?|"
    r"/(?:etc|library/application support)/gemini-?cli/.*"
)
"""Settings, wherever they lie: paths in small letters, whole."""
_TOKENS: Final = re.compile(r".*/openclaw\.json5?")
_NAMED: Final = re.compile(
    r"twinstep/(?:ledger|integrity|guard)|ledger-anchor|integrity-anchor|ledger/start\.key|contents\.key|"
    r"\.gemini/(?:settings|trustedfolders)\.json|guard-device\.key|guard-tokens\.json|defender/(?:policy\.toml|labels\.jsonl)"
)
_QUIET: Final = frozenset(
    "explain score decide status labels list log show verify --help -h --version doctor replay stats".split()
)
_DECIDES: Final = frozenset(
    "defender quarantine integrity debug dap attach guard serve approve approvals setup import".split()
)
_OFF: Final = re.compile(r"--defender(?:=|$)|.*--defender[= ](?:off|audit)")
_PLAIN: Final = re.compile(
    r"(?i)\btwinstep\b.{0,200}\b(?:defender|quarantine|integrity|debug|attach|guard|approvals)\b", re.DOTALL
)
AS_IF: Final = ("/home/user/project", "/home/user")
_WORDS: Final = re.compile(r"[=:,@]")


@frozen
class Own:
    """Absolute paths: `secrets` may not be read, `state` not written, `settings` only with a person's yes."""

    secrets: tuple[str, ...]
    state: tuple[str, ...]
    settings: tuple[str, ...] = ()
    home: str = "/"

    def of_args(self, asked: Asked) -> Assessment:
        """Judge the paths that a call names by itself."""
        flow, found = asked.spec.flow, CLEAR
        skipped = {*flow.contents, *(("command",) if asked.spec.kind == "execute" else ())}
        base = os.path.join(asked.workspace or "/", str(asked.args.get("dir_path") or asked.args.get("workdir") or ""))
        reads = flow.effect in ("none", "fetch")
        lists = re.fullmatch(r"(?i)ls|glob|find|list_\w+", asked.spec.name) is not None
        deep = re.search(r"(?i)grep|search|many", asked.spec.name) is not None
        for text in _texts({name: value for name, value in asked.args.items() if name not in skipped}):
            for path in self._whole(text, (asked.workspace or "/", base), set()):
                said = self._of(path, reads=True, writes=not reads, lists=lists)
                if deep or not reads or said.decision is Decision.BLOCK or not _above(said):
                    found = _worse(found, said)
        return found

    def of_commands(self, asked: Asked, commands: "Iterable[Analysed]") -> Assessment:
        """Judge what the commands of a call name, and whether one of them is this program."""
        found, seen = CLEAR, set[str]()
        base = os.path.join(asked.workspace or "/", str(asked.args.get("dir_path") or asked.args.get("workdir") or ""))
        folders = [base]
        for one in commands:
            found = _worse(found, _plain(one))
            if sum(len(step.words) for step in one.steps) > MOST_WORDS:
                found = _worse(found, _found("own.unread", Decision.REVIEW, "The command has too many words.", ""))
            for step in one.steps[:MOST_WORDS]:
                words = [*step.words]
                while words and re.match(r"\w+=", words[0]):
                    words.pop(0)
                name = os.path.basename(words[0]) if words else ""
                found = _worse(found, _program(step.words))
                lists = name in LISTS and not (_FINDS & set(words))
                reads = lists or (name in READS and not (_FINDS & set(words)))
                for word in words[1:MOST_WORDS]:
                    for path in self._whole(word, folders, seen):
                        found = _worse(found, self._of(path, reads=not lists, writes=not reads, lists=lists))
                        if name in ("cd", "pushd") and len(folders) < MOST_FOLDERS:
                            folders.append(path)
            for path in one.reads if not _only_lists(one) else ():
                for whole in self._whole(path, folders, seen):
                    said = self._of(whole, reads=True, writes=False, lists=False)
                    found = _worse(found, said) if said.decision is Decision.BLOCK else found
            for path in one.writes:
                for whole in self._whole(path, folders, seen):
                    found = _worse(found, self._of(whole, reads=False, writes=True, lists=True))
        return found

    def _whole(self, text: str, folders: Sequence[str], seen: set[str]) -> Iterator[str]:
        """Yield the paths that a word can mean, whole, in small letters."""
        if not text or len(text) > LONGEST or "\0" in text or "\n" in text:
            return
        text = text.removeprefix("file://")
        for piece in dict.fromkeys((text, *_WORDS.split(text))):
            if not piece:
                continue
            for as_if, real in zip(AS_IF, (folders[0], self.home), strict=True):
                if piece == as_if or piece.startswith(f"{as_if}/"):
                    piece = real + piece[len(as_if) :]
                    break
            if piece.startswith(("~/", "$HOME/", "${HOME}/")) or piece in ("~", "$HOME", "${HOME}"):
                piece = self.home + piece[piece.find("/") :] if "/" in piece else self.home
            for folder in (*folders,) if not piece.startswith("/") else ("/",):
                whole = os.path.normpath(os.path.join(folder, piece))
                yield whole.lower()
                if len(seen) < MOST_PATHS and whole not in seen:
                    seen.add(whole)
                    real = os.path.realpath(whole)
                    if real != whole:
                        yield real.lower()

    def _of(self, path: str, *, reads: bool, writes: bool, lists: bool) -> Assessment:
        """Judge a path that a call reads, writes, or of which it takes what lies below (unless it only `lists`)."""
        above = CLEAR
        for secret in self.secrets:
            if _inside(path, secret.lower()):
                if reads and not lists:
                    return _found("own.secret", Decision.BLOCK, "The call reads a key of the defender.", path)
                if writes:
                    return _found("own.state", Decision.BLOCK, "The call changes a key of the defender.", path)
            elif not lists and _inside(secret.lower(), path):
                above = _found("own.above", Decision.REVIEW, "The call takes a folder with keys of the defender.", path)
        if writes:
            for state in self.state:
                if _inside(path, state.lower()):
                    return _found("own.state", Decision.BLOCK, "The call changes what the defender keeps.", path)
                if not lists and _inside(state.lower(), path):
                    above = _found("own.above", Decision.REVIEW, "The call takes a folder of the defender.", path)
            if _SETTINGS.search(path) or any(_inside(path, one.lower()) for one in self.settings):
                return _found("own.settings", Decision.REVIEW, "The call changes what the defender goes by.", path)
        if reads and not lists and _TOKENS.fullmatch(path):
            return _found("own.settings", Decision.REVIEW, "The call reads settings that hold a gateway's token.", path)
        return above


def _inside(path: str, folder: str) -> bool:
    """Whether a path, which may be a pattern, is a folder or lies in it."""
    if path == folder or path.startswith(f"{folder.rstrip('/')}/"):
        return True
    if not any(mark in path for mark in "*?["):
        return False
    pieces, wanted = path.split("/"), folder.split("/")
    return len(pieces) >= len(wanted) and all(
        fnmatchcase(name, pattern) for name, pattern in zip(wanted, pieces, strict=False)
    )


def _plain(one: "Analysed") -> Assessment:
    """Judge the text of a command in which a name may stand that no word has whole: beside what is not known."""
    text = re.sub(r"['\"\\]", "", one.command).lower()
    holes = not one.steps or any("<" in word for step in one.steps for word in step.words)
    if not holes:
        return CLEAR
    if _PLAIN.search(text):
        return _found(
            "own.command", Decision.REVIEW, "The command starts this program, in ways that cannot be read.", ""
        )
    named = _NAMED.search(text) or re.search(r"\b(?:start|contents)\.key\b", text)
    if named:
        return _found("own.above", Decision.REVIEW, "The command names what belongs to the defender.", named[0])
    return CLEAR


def _program(words: Sequence[str]) -> Assessment:
    """Judge a command line of this program, also one that is handed to another one (`env`, `python -m`)."""
    for place, word in enumerate(words):
        name = os.path.basename(word)
        if name not in ("twinstep", "twinstep.exe") and not word.startswith("runtime.app"):
            continue
        rest = [one.lower() for one in words[place + 1 :]]
        if any(_OFF.match(one) for one in rest):
            return _found(
                "own.command", Decision.REVIEW, "The command runs a session past the defender.", " ".join(rest)
            )
        given = [one for one in rest if not one.startswith("-")]
        content = any(one.startswith("--content") for one in rest)
        if given and given[0] in _DECIDES and (content or not (set(given[:2]) & _QUIET)):
            line = " ".join(rest)
            return _found("own.command", Decision.REVIEW, "The command decides what is a person's to decide.", line)
    return CLEAR


def _only_lists(one: "Analysed") -> bool:
    return all(step.words and os.path.basename(step.words[0]) in LISTS for step in one.steps)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.startswith("*** "):
            yield from re.findall(r"(?m)^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", value)
    elif depth < 8 and isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner, depth + 1)
    elif depth < 8 and isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner, depth + 1)


def _above(said: Assessment) -> bool:
    return any(signal.rule == "own.above" for signal in said.signals)


def _worse(first: Assessment, second: Assessment) -> Assessment:
    return second if second.score > first.score else first


def _found(rule: str, decision: Decision, reason: str, evidence: str) -> Assessment:
    score = 0.95 if decision is Decision.BLOCK else 0.7
    return Assessment(score, decision, (Signal(rule, score, reason, evidence[:300], decision),))

"""Calls that write inside of the folder of the work, as data: programs, allowed options, which words are written.

A row allows a call when all its options are listed, every word stays inside of the folder, and what is written names
neither code nor settings (`kept.data`). What a command itself dictates (`echo x | tee a`) is for a person, and so is
what comes out of an archive: its names are not known.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from defender.commands.allow import git, sed
from defender.commands.calls import Call, operands, option
from defender.commands.kept import at_work, data, derived, inside
from defender.commands.marks import ITEM

if TYPE_CHECKING:
    from defender.commands.scope import Scope

Written = Callable[[Sequence[str]], Sequence[str]]


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@frozen
class Writer:
    """One row: its programs, the options that are allowed, which operands are written, why, and two examples."""

    programs: str
    reason: str
    example: str
    refused: str
    options: re.Pattern[str] = field(converter=_whole)
    written: Written = field(default=lambda words: words)
    least: int = 1

    def allows(self, call: Call) -> bool:
        """Whether a call only writes data inside of the folder."""
        if "--" in call.args or not derived(call.stdin):
            return False
        signs = [arg for arg in call.args if arg.startswith("-") and arg != "-"]
        words = [word for word in operands(call.args) if word != "-"]
        return (
            all(self.options.fullmatch(sign) for sign in signs)
            and len(words) >= self.least
            and all(map(inside, words))
            and all(map(data, self.written(words)))
        )


def _last(words: Sequence[str]) -> Sequence[str]:
    return words[-1:]


def _moved(words: Sequence[str]) -> Sequence[str]:
    return [word.replace(ITEM, "x") for word in words[-1:]]


WRITERS: Final = (
    Writer("tee", "Keeps what passes.", "sort a.txt | tee b.txt", "sort a.txt | tee ~/b", r"-[ap]|--append"),
    Writer("mv gmv", "Renames a file.", "mv a.txt b.txt", "mv a.txt run.sh", r"-[vniu]+|--verbose|--no-clobber", _moved, 2),
    Writer("split gsplit", "Cuts a file into pieces.", "split -l 9 a.txt part", "split --filter=sh a.txt", r"-[lbCnda]\w*|-e|-x|--verbose", _last),
    Writer("csplit gcsplit", "Cuts a file into pieces.", "csplit a.txt 5", "csplit -f /etc/x a.txt 5", r"-[ksqnz]\w*", lambda words: words[:1]),
    Writer("zip", "Packs files.", "zip -r a.zip src", "zip -T -TT sh a.zip src", r"-[rq0-9vuj]+", lambda words: words[:1], 2),
    Writer("7z 7za 7zr 7zz", "Packs files.", "7z a a.7z src", "7z x a.7z", r"-(mx=?\d|t\w+)", lambda words: words if words[0] != "a" else words[1:2], 3),
    Writer("rsync", "Copies folders.", "rsync -av src/ dest/", "rsync -e sh src dest", r"-[avrnhtuz]+|--(progress|dry-run|stats)", _last, 2),
    Writer("rmdir", "Removes empty folders.", "rmdir old", "rmdir /srv/x", r"-[pv]+"),
    Writer("mkfifo", "Makes a pipe.", "mkfifo queue", "mkfifo /tmp/x", r"-v"),
    Writer("dos2unix unix2dos", "Changes the ends of lines.", "dos2unix a.txt", "dos2unix ~/.profile", r"-[kqv]+"),
    Writer("iconv", "Changes letters.", "iconv -f latin1 -t utf-8 a.txt", "iconv -o ~/x a.txt", r"-[ftc][\w-]*|--verbose"),
)  # fmt: skip


def tar(call: Call, _scope: "Scope") -> bool:
    """Whether files of the folder are packed into an archive of it."""
    first = call.args[0] if call.args else ""
    if not re.fullmatch(r"-?[cvzjJpa]*c[vzjJpa]*f?", first) and not re.fullmatch(r"-?c?[vzjJpa]*c?[vzjJpa]*f", first):
        return False
    rest = [word for word in call.args[1:] if word != "-"]
    return (
        "c" in first
        and bool(rest)
        and all(inside(word) or re.fullmatch(r"--exclude=[^/~]\S*|-[vzjJ]", word) for word in rest)
        and ("-" in call.args or data(rest[0]))
    )


def sort_onto(call: Call, _scope: "Scope") -> bool:
    """Whether `sort -o` writes data."""
    target = option(call.args, "-o", "--output")
    rest = [arg for arg in call.args if arg.startswith("-")]
    return (
        bool(target)
        and data(target or "")
        and all(re.fullmatch(r"-[nruhgfdbMVsc]*o?|-[kt].*|--output=.*", arg) for arg in rest)
        and all(map(inside, operands(call.args)))
    )


def sed_in_place(call: Call, _scope: "Scope") -> bool:
    """Whether `sed -i` changes texts: files whose ending says that they are data."""
    args = list(call.args)
    if not args or not re.fullmatch(r"-[nErs]*i(\.\w+)?", args[0]):
        return False
    letters = args[0].partition(".")[0].replace("i", "")
    plain = ([letters] if letters != "-" else []) + args[1:]
    words = operands(plain)
    rest = words if any(re.fullmatch(r"-[nErs]*e", arg) for arg in plain) else words[1:]
    return (
        bool(rest)
        and sed(Call(["sed", *plain]))
        and all(data(word) and re.search(r"\.(txt|md|csv|tsv|html?|tex|log|srt|rst|adoc|css)$", word) for word in rest)
    )


def rename(call: Call, _scope: "Scope") -> bool:
    """Whether files get other names that do not make them code."""
    words = [word for word in call.args if word not in {"-n", "-v"}]
    found = re.fullmatch(r"s/[^/]+/([\w -]*)/g?", words[0]) if words else None
    return (
        found is not None
        and len(words) > 1
        and data(f"x.{found[1]}x")
        and data(f"x.{found[1]}")
        and all(data(word.replace("*", "x")) for word in words[1:])
    )


_GIT: Final = re.compile(
    r"(add( (-A|-u|--all|--update|-n|-v|-N|\.|(?!-)\S+))+|mv (?!-)\S+ (?!-)\S+|init|stash( (push|save))?( (-u|-k|-q|-m \S+))*|bisect log|fsck( --\w+)*|submodule( status)?"
    r"|branch (?!-)\S+( (?!-)\S+)?|tag (?!-)\S+( (?!-)\S+)?|notes( (list|show)( \S+)?)?|rerere( (status|diff))?|help( \w+)?|(rebase|merge|am|cherry-pick|revert) --abort|check-attr .*|check-ref-format .*"
    r"|cherry .*|remote|worktree list.*|lfs (ls-files|status|env)|verify-pack .*|show-index|merge-tree .*|column|count-objects.*|diff-pairs|shortlog .*|sparse-checkout list|maintenance --help|\w[\w-]* --help)"
)


def git_local(call: Call, _scope: "Scope") -> bool:
    """Whether git only adds to what it keeps, and runs no hook on the way."""
    return (
        _GIT.fullmatch(call.line[4:]) is not None
        and not any(arg.startswith(("/", "~", ":")) or ".." in arg or "/." in f"/{arg[:-1]}" for arg in call.args if arg != ".")
    ) or git(call)  # fmt: skip


_OWN: Final[dict[str, Callable[[Call, "Scope"], bool]]] = {
    "tar": tar,
    "gtar": tar,
    "sort": sort_onto,
    "sed": sed_in_place,
    "gsed": sed_in_place,
    "git": git_local,
    "rename": rename,
    "prename": rename,
}
_INDEX: Final = {name: row for row in WRITERS for name in row.programs.split()}


def writes(call: Call, scope: "Scope") -> bool:
    """Whether a call only writes data inside of the folder of the work."""
    if not at_work(scope):
        return False
    row = _INDEX.get(call.name)
    if row is not None and row.allows(call):
        return True
    own = _OWN.get(call.name)
    return own is not None and own(call, scope)

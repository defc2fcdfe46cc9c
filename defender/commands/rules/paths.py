"""Tests of the rules about files: which paths a command names, and whether they are the whole of something."""

import re
from typing import TYPE_CHECKING, Final

from defender.commands.calls import flags, operands, option
from defender.commands.marks import ITEM, holed, without
from defender.commands.places import ACCOUNTS, LOGS, SECRETS, SYSTEM, TEMPORARY, WHOLE
from defender.commands.rules import Test
from defender.commands.scope import FOLDER

if TYPE_CHECKING:
    from defender.commands.calls import Call
    from defender.commands.scope import Scope

_LOST: Final = frozenset("rm shred unlink srm wipe truncate dd rmdir mv chmod chown".split())
_NARROW: Final = frozenset(
    "-name -iname -path -ipath -regex -iregex -newer -newermt -empty -samefile -inum -wholename".split()
)


def recursive(call: "Call") -> bool:
    """Whether whole folders are meant (`-r`, `-R`, `--recursive` or a beginning of it)."""
    letters = flags(call.args)
    return any(letter in letters for letter in "rR") or any(
        len(arg) > 4 and "--recursive".startswith(arg) for arg in call.args if arg.startswith("--r")
    )


def paths(call: "Call", scope: "Scope") -> list[str]:
    """Return the paths that are named, from the root."""
    return [scope.path(word) for word in operands(call.args)]


def whole(path: str) -> bool:
    """Whether a path is the whole disk, a home or a folder of the system."""
    plain = without(path).rstrip("/") or "/"
    if ITEM in path and path.rstrip("/").endswith(ITEM):
        plain = plain.rstrip("/") or "/"
    return WHOLE.fullmatch(plain) is not None


def removes_whole(call: "Call", scope: "Scope") -> bool:
    """Whether a recursive removal hits the whole disk, a home, or a folder of the system."""
    if not recursive(call) and "*" not in call.line:
        return False
    for word in operands(call.args):
        if holed(word[:1]):
            continue
        path = scope.path(word)
        if TEMPORARY.match(path) or (ITEM in path and not path.startswith(("/" + ITEM, "/home"))):
            continue
        if whole(path):
            return True
        if path.rstrip("/") in {scope.folder, f"{scope.folder}/*"} and scope.folder in {
            "/",
            "/home/user",
            "/etc",
            "/usr",
            "/var",
        }:
            return True
    return False


def removes_elsewhere(call: "Call", scope: "Scope") -> bool:
    """Whether folders outside of the folder of the work are removed without a question."""
    if not recursive(call) or not ("f" in flags(call.args) or "--force" in call.args):
        return False
    if scope.folder != FOLDER and not TEMPORARY.match(scope.folder):
        return True
    return any(
        holed(word) or not (path.startswith(f"{FOLDER}/") or TEMPORARY.match(path))
        for word in operands(call.args)
        for path in (scope.path(word),)
    )


def removes_here(call: "Call", scope: "Scope") -> bool:
    """Whether all of the folder itself, or something above it, is removed."""
    return recursive(call) and any(
        word.rstrip("/") in {".", "..", "*", "./*", "../*", ".*", "./", "../..", "$PWD"}
        or (without(word) in {"", "/", "/*"} and holed(word))
        for word in operands(call.args)
    )


def removes_system(call: "Call", scope: "Scope") -> bool:
    """Whether a removal hits files of the system."""
    return any(SYSTEM.match(path) for path in paths(call, scope))


def hits(pattern: re.Pattern[str]) -> Test:
    """Return a test whether a path among the words fits a pattern."""

    def test(call: "Call", scope: "Scope") -> bool:
        return any(pattern.search(scope.path(word)) for word in call.args if "/" in word or word[:1] in ".~")

    return test


def last_hits(pattern: re.Pattern[str]) -> Test:
    """Return a test whether the target, the last word, fits a pattern."""

    def test(call: "Call", scope: "Scope") -> bool:
        words = operands(call.args)
        target = option(call.args, "-t", "--target-directory") or (words[-1] if words else "")
        return bool(target) and pattern.search(scope.path(target)) is not None

    return test


def find_destroys(call: "Call", scope: "Scope") -> bool:
    """Whether `find` removes everything below a whole, with no name to narrow it."""
    args = list(call.args)
    starts = list(args[: next((at for at, arg in enumerate(args) if arg.startswith(("-", "(", "!"))), len(args))])
    if not any(whole(scope.path(start)) for start in starts):
        return False
    narrow = any(
        arg in _NARROW and at + 1 < len(args) and args[at + 1] not in {"*", ".*", "*.*"} for at, arg in enumerate(args)
    )
    if narrow:
        return False
    return "-delete" in args or any(
        arg in {"-exec", "-execdir", "-ok"}
        and at + 1 < len(args)
        and args[at + 1].rsplit("/", 1)[-1] in _LOST - {"chmod", "chown"}
        for at, arg in enumerate(args)
    )


def find_changes(call: "Call", scope: "Scope") -> bool:
    """Whether `find` removes or changes what it finds."""
    args = list(call.args)
    return "-delete" in args or any(
        arg in {"-exec", "-execdir", "-ok"}
        and at + 1 < len(args)
        and args[at + 1].rsplit("/", 1)[-1] in _LOST
        and not (args[at + 1] == "chmod" and _narrow_mode(args[at + 2 :]))
        for at, arg in enumerate(args)
    )


def _narrow_mode(args: list[str]) -> bool:
    """Whether `chmod` gives rights that let nobody else in; whose they are is judged with the call itself."""
    return bool(args) and re.fullmatch(r"0?[4567][0456][045]|u\+[rwxX]+|[ugo]*-[rwx]+", args[0]) is not None


def find_secret(call: "Call", scope: "Scope") -> bool:
    """Whether `find` looks for credentials."""
    line = call.line
    return bool(
        re.search(
            r"id_[rd]sa|\.pem\b|\.key\b|\.kdbx|\.ppk|\.pfx|\.p12|htpasswd|passw(or)?d|shadow|credential|secret|token|history|\.aws|\.oci\b|\.azure|\.ssh|\.gnupg|\.netrc|\.rhosts|authorized_keys|"
            r"wallet|\.env\b|keychain|places\.sqlite|[Cc]ookies|Login Data|logins\.json|\.kube|kubeconfig|accessTokens|[Bb]ookmarks|[Cc]hromium|google-chrome|Google/Chrome|\.plan\b|\.rc\b|config\.php|\.fetchmailrc|\.pgpass",
            line,
        )
    )


def wipes_owner(call: "Call", scope: "Scope") -> bool:
    """Whether rights of a whole change."""
    return recursive(call) and any(
        whole(path) and not re.match(r"/(var|usr|opt|srv|mnt)/\w|/(opt|srv|mnt)/?$", path)
        for path in paths(call, scope)[1:]
    )


def moves_whole(call: "Call", scope: "Scope") -> bool:
    """Whether a whole is moved."""
    words = operands(call.args)
    return len(words) > 1 and any(whole(scope.path(word)) for word in words[:-1])


def links_secret(call: "Call", scope: "Scope") -> bool:
    """Whether a link to a secret is made."""
    words = operands(call.args)
    return bool(words) and "s" in flags(call.args) and SECRETS.search(scope.path(words[0])) is not None


def cleared(call: "Call", scope: "Scope") -> bool:
    """Whether a file of the system is written over with nothing."""
    words = operands(call.args)
    return (
        len(words) > 1
        and words[0] == "/dev/null"
        and bool(
            ACCOUNTS.match(scope.path(words[-1]))
            or SYSTEM.match(scope.path(words[-1]))
            or LOGS.search(scope.path(words[-1]))
        )
    )


def open_mode(call: "Call", scope: "Scope") -> bool:
    """Whether everybody may write afterwards."""
    words = operands(call.args)
    return bool(words) and re.fullmatch(r"0?[0-7]?777|(a|o|go|ugo)?\+r?w[xX]?|a=rwx", words[0]) is not None


def set_id(call: "Call", scope: "Scope") -> bool:
    """Whether the mode sets the user or the group."""
    return any(
        (re.fullmatch(r"0?[2467][0-7]{3}|[ugoa]*[+=][rwx]*s[rwxst]*", word) and word[:1] != "0")
        or re.fullmatch(r"0[2467][0-7]{3}", word)
        for word in operands(call.args)[:1]
    )


def copies_shell(call: "Call", scope: "Scope") -> bool:
    """Whether a shell is copied."""
    words = operands(call.args)
    return len(words) > 1 and re.search(r"/bin/(ba|z|da|k)?sh$", words[0]) is not None

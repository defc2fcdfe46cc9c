"""Simple commands that are known to read only, or to do next to nothing: the list by which a command may be allowed.

A whole text is allowed only when every simple command in it stands here, nothing was found by a rule, nothing is
unresolved, and no file is written by a redirection. The longest prefix decides: `git log` is listed, `git` is not.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from defender.commands.calls import Call, flags, operands, option
from defender.commands.kept import inside
from defender.commands.marks import VARIABLE, marked
from defender.commands.places import SYSTEM

Test = Callable[[Call], bool]

READS: Final = frozenset(
    "cat head tail wc cut tr rev nl tac paste join comm fold fmt pr expand unexpand column cmp diff   cksum md5sum"
    " md5 sha1sum sha224sum sha256sum sha384sum sha512sum shasum b2sum sum od hexdump hd strings ls dir vdir exa eza lsd  stat file"
    " du df free uptime cal ncal basename dirname realpath readlink grep egrep fgrep zgrep zcat bzcat xzcat zless jq look tsort"
    " numfmt factor expr seq test [ [[ true false : echo printf print pwd which whereis type whatis apropos nproc arch uname whoami"
    " tty who w users groups ps pgrep pidof pstree getconf locale cd pushd popd dirs sleep wait jobs"
    "  tokei scc     colordiff icdiff  namei lsblk zipinfo sw_vers return exit break"
    " continue shift read   let logname hostname tput clear reset gzcat lz4cat zstdcat lsof  fc-list "
    " nm size vmstat iostat mpstat cmd-not-found last dircolors rgrep pathchk bzgrep xzgrep zdiff zcmp".split()
)
"""Programs that only read, whatever their words are."""
_GIT: Final = frozenset(
    "status log diff show blame rev-parse ls-files ls-tree describe shortlog grep cat-file rev-list merge-base whatchanged"
    " count-objects name-rev check-ignore show-ref show-branch diff-tree diff-index diff-files for-each-ref range-diff cherry"
    " annotate version verify-commit verify-tag var".split()
)
_GIT_SKIP: Final = re.compile(
    r"(?:(?:-C ?\S+|--no-pager|-P|--no-optional-locks|-p|--paginate|-c (?:color|core\.quotepath|log|diff\.(?:renames|algorithm))\S*) )*"
)
_GIT_LISTS: Final = r"-[avrl]+|--(list|all|remotes|show-current|merged|no-merged|contains|sort=\S+|format=\S+)"
_GIT_BAD: Final = re.compile(r" (--ou?t?|-O|--ext?-?|--textc|--open?|--exec)|^--exec-path")
_SED_LONGS: Final = frozenset(
    "-- --quiet --silent --regexp-extended --null-data --unbuffered --separate --posix --version --help".split()
)
_SED_BAD: Final = re.compile(r"(?:^|[;{}\n]|[\d/$,!])\s*[ewWrR](?:\s|$)|/[eEwWrR]\s*/")
_SED_FLAGS: Final = re.compile(r"s(\W)(?:\\.|(?!\1).)*\1(?:\\.|(?!\1).)*\1([a-zA-Z0-9]*)", re.DOTALL)
_AWK_BAD: Final = re.compile(
    r"system\s*\(|getline|(?<!\|)\|(?!\|)|print[^;}\n]*>|@(load|include)|/inet/|fflush|close\s*\(|ENVIRON|exec"
)
_FIND_BAD: Final = frozenset("-delete -fprint -fprintf -fls -fprint0 -files0-from".split())
_EXECS: Final = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_DATE_SET: Final = re.compile(r"^(-s|--s|-\w*s|\d{8,}$)")


def _abbreviates(arg: str, longs: Sequence[str]) -> bool:
    """Whether a word is one of these long options, perhaps cut short as getopt allows."""
    name = arg.partition("=")[0]
    return (
        len(name) > 2 and name.startswith("--") and any(one.startswith(name) or name.startswith(one) for one in longs)
    )


def _no_option(*bad: str) -> Test:
    letters = {name[1] for name in bad if len(name) == 2}
    longs = tuple(name for name in bad if name.startswith("--"))

    def test(call: Call) -> bool:
        return (
            not (set(flags(call.args)) & letters)
            and not any(_abbreviates(arg, longs) for arg in call.args)
            and not any(marked(arg[:1]) and arg[:1] != VARIABLE for arg in call.args)
        )

    return test


def _few(count: int, *bad: str) -> Test:
    options = _no_option(*bad)
    return lambda call: options(call) and len(operands(call.args)) <= count


def sed(call: Call) -> bool:
    """Whether `sed` only prints: no `-i`, and no command of the script that writes or runs."""
    letters = flags([arg for arg in call.args if re.fullmatch(r"-[a-zA-Z]+", arg)])
    if set(letters) - set("nErsuzl") - {"e"} or any(
        arg.startswith(("--in", "--file", "-f", "-i", "--expression")) for arg in call.args
    ):
        return False
    scripts = [
        call.args[at + 1] for at, arg in enumerate(call.args[:-1]) if re.fullmatch(r"-[nErsuz]*e", arg)
    ] or operands(call.args)[:1]
    return bool(scripts) and all(_sed_script(script) for script in scripts)


def _sed_script(script: str) -> bool:
    if marked(script):
        return False
    for found in _SED_FLAGS.finditer(script):
        if set(found[2]) & set("ewEW"):
            return False
    rest = _SED_FLAGS.sub(" ", script)
    return not _SED_BAD.search(re.sub(r"/(?:\\.|[^/])*/", "", rest)) and not _SED_BAD.search(rest)


def awk(call: Call) -> bool:
    """Whether `awk` only prints."""
    args = list(call.args)
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] != "-":
        if args[at] in {"-F", "-v"}:
            at += 2
        elif args[at] == "--":
            at += 1
            break
        elif args[at].startswith(("-F", "-v")):
            at += 1
        else:
            return False
    return at < len(args) and not marked(args[at]) and not _AWK_BAD.search(args[at])


def find(call: Call) -> bool:
    """Whether `find` only prints, or runs what was allowed by itself."""
    return not any(arg in _FIND_BAD for arg in call.args) and not any(
        marked(arg[:1])
        and arg[:1] != VARIABLE
        and (
            not at
            or call.args[at - 1] not in {"-name", "-iname", "-path", "-newer", "-size", "-mtime", "-user", "-type"}
        )
        for at, arg in enumerate(call.args)
        if not _inside_exec(call.args, at)
    )


def _inside_exec(args: Sequence[str], at: int) -> bool:
    return any(arg in _EXECS for arg in args[:at])


def git(call: Call) -> bool:
    """Whether a command of git only reads."""
    line = call.line[4:]
    skipped = _GIT_SKIP.match(line)
    rest = line[skipped.end() if skipped else 0 :]
    if _GIT_BAD.search(f" {rest}"):
        return False
    verb, _, tail = rest.partition(" ")
    if verb in _GIT:
        return not (verb == "grep" and "-O" in tail)
    if verb == "branch":
        words = [word for word in tail.split() if not re.fullmatch(_GIT_LISTS, word)]
        return not words or (
            len(words) == 1
            and words[0][0] != "-"
            and re.search(r"--(list|merged|no-merged|contains)", tail) is not None
        )
    if verb == "remote":
        return re.fullmatch(r"(-v|--verbose|get-url \S+)?", tail) is not None
    if verb == "tag":
        return re.fullmatch(r"(-l|--list|-n\d*|--sort=\S+)?( [^-]\S*)?", tail) is not None and (
            not tail or tail[0] == "-"
        )
    if verb == "stash":
        return tail.split(" ")[0] in {"list", "show"}
    if verb == "reflog":
        return tail == "" or tail.startswith("show")
    if verb == "worktree":
        return tail == "list"
    if verb == "config":
        return re.fullmatch(r"(--get(-all)?|get) [\w.-]+", tail) is not None
    return verb in {"--version", "--help"} and not tail


_TAR_LONGS: Final = frozenset(
    "--list --file --verbose --gzip --bzip2 --xz --zstd --exclude --wildcards --directory --strip-components --full-time --numeric-owner --auto-compress".split()
)


def tar(call: Call) -> bool:
    """Whether an archive is only listed."""
    first = call.args[0] if call.args else ""
    letters = first.lstrip("-") if not first.startswith("--") else flags(call.args)
    return (
        ("t" in letters or "--list" in call.args)
        and not (set(letters) & set("cxruAI"))
        and not any(
            (arg.startswith("--") and arg.partition("=")[0] not in _TAR_LONGS) or arg.startswith(("-I", "-F"))
            for arg in call.args
        )
    )


def folder(call: Call) -> bool:
    """Whether only a folder or an empty file is made, not in the system and not hidden."""
    words = operands(call.args)
    return bool(words) and not any(
        SYSTEM.match(word)
        or "/." in f"/{word.removeprefix('./').replace('../', '')}"
        or marked(word[:1])
        or word.startswith("~/.")
        for word in words
    )


def copies(call: Call) -> bool:
    """Whether files are copied inside of the folder of the work."""
    words = operands(call.args)
    return len(words) > 1 and all(map(inside, words)) and not (set(flags(call.args)) - set("raRpvinuT"))


def packs(call: Call) -> bool:
    """Whether files of the folder are packed or unpacked in place, or the input is."""
    if {"c", "l", "t"} & set(flags(call.args)) or "--stdout" in call.args or "--list" in call.args:
        return True
    words = operands(call.args)
    return all(map(inside, words)) if words else call.stdin is not None


def modes(call: Call) -> bool:
    """Whether files of the folder get rights that let nobody else in."""
    words = operands(call.args)
    return (
        len(words) > 1
        and re.fullmatch(r"0?[4567][0456][045]|[uga]*[-+=][rxX]+|[ugoa]*-[rwxX]+|u\+[rwxX]+|g?o-[rwx]+", words[0])
        is not None
        and all(map(inside, words[1:]))
    )


def _version(call: Call) -> bool:
    return len(call.args) == 1 and call.args[0] in {"--version", "--help"} and "/" not in call.argv[0]


PROGRAMS: Final[dict[str, Test]] = {
    "sed": sed,
    "gsed": sed,
    "awk": awk,
    "gawk": awk,
    "mawk": awk,
    "nawk": awk,
    "find": find,
    "gfind": find,
    "git": git,
    "tar": tar,
    "gtar": tar,
    "bsdtar": tar,
    "mkdir": folder,
    "touch": lambda call: folder(call) and not (set(flags(call.args)) - set("acmh")),
    "sort": _no_option("-o", "-T", "-S", "--output", "--compress-program", "--files0-from", "--temporary-directory"),
    "tree": _no_option("-o"),
    "iconv": _no_option("-o", "--output"),
    "sdiff": _no_option("-o", "--output", "--diff-program"),
    "diff3": _no_option("--diff-program"),
    "bat": _no_option("--pager", "--config-file"),
    "batcat": _no_option("--pager", "--config-file"),
    "ag": _no_option("--pager"),
    "ack": _no_option("--pager"),
    "mapfile": _no_option("-C"),
    "readarray": _no_option("-C"),
    "uniq": _few(1),
    "date": lambda call: not any(_DATE_SET.match(arg) for arg in call.args) and not option(call.args, "-f"),
    "xxd": lambda call: (
        "r" not in flags(call.args) and len(operands([arg for arg in call.args if not arg.isdigit()])) < 2
    ),
    "rg": _no_option("--pre", "--hostname-bin"),
    "yq": _no_option("-i", "--inplace", "--in-place"),
    "shuf": _no_option("-o", "--output"),
    "gzip": packs,
    "gunzip": packs,
    "bzip2": packs,
    "bunzip2": packs,
    "xz": packs,
    "unxz": packs,
    "zstd": packs,
    "cp": copies,
    "chmod": modes,
    "less": lambda call: call.stdin is not None and not operands(call.args),
    "more": lambda call: call.stdin is not None and not operands(call.args),
    "yes": lambda call: call.piped,
    "mount": lambda call: not call.args,
    "screen": lambda call: list(call.args) == ["-ls"],
    "tmux": lambda call: list(call.args) in (["ls"], ["list-sessions"]),
    "unzip": lambda call: bool(set(flags(call.args)) & set("lvtZz")),
    "base64": lambda call: True,
    "base32": lambda call: True,
    "bc": lambda call: True,
    "id": lambda call: True,
    "locate": lambda call: True,
    "mktemp": lambda call: len(call.args) < 3,
    "set": lambda call: (
        all(re.fullmatch(r"[-+][euxvo]+|pipefail|--|errexit|nounset|xtrace|verbose|vi|emacs", arg) for arg in call.args)
        and bool(call.args)
    ),
    "shopt": lambda call: all(
        re.fullmatch(r"-[suqp]+|nullglob|globstar|extglob|dotglob|nocaseglob|failglob|nocasematch|lastpipe", arg)
        for arg in call.args
    ),
    "unset": lambda call: True,
    "declare": lambda call: True,
    "local": lambda call: True,
    "typeset": lambda call: True,
    "readonly": lambda call: True,
    "export": lambda call: True,
    "command": lambda call: bool({"v", "V"} & set(flags(call.args))),
    "hash": lambda call: not call.args,
    "alias": lambda call: not any("=" in arg for arg in call.args),
    "ulimit": lambda call: all(re.fullmatch(r"-\w+", arg) for arg in call.args),
    "umask": lambda call: True,
    "tee": lambda call: all(word in {"/dev/null", "/dev/stderr", "/dev/tty"} for word in operands(call.args)),
    "ifconfig": lambda call: len(call.args) < 2,
    "hostname": lambda call: all(arg.startswith("-") for arg in call.args),
    "timedatectl": lambda call: not call.args or call.args[0] == "status",
    "ln": lambda call: (
        "s" in flags(call.args)
        and "f" not in flags(call.args)
        and len(operands(call.args)) < 3
        and all(map(inside, operands(call.args)))
        if operands(call.args)
        else False
    ),
    "top": lambda call: "b" in flags(call.args),
    "kill": lambda call: call.args[:1] == ["-l"],
    "sync": lambda call: True,
    "lscpu": lambda call: True,
    "dpkg": lambda call: bool(
        re.match(
            r"^dpkg (-[lLsS]|--list|--listfiles|--status|--search|--print-architecture|--get-selections)\b", call.line
        )
    ),
    "rpm": lambda call: bool(re.match(r"^rpm -q\w*\b(?!.*--(pi|ev|ma|de|rc|lo|un))", call.line)),
    "apt-cache": _no_option("-o", "-c", "--option", "--config-file"),
    "fdupes": _no_option("-d", "-N", "--delete"),
    "pdfinfo": lambda call: True,
    "npm": lambda call: (
        bool(re.match(r"^npm (ls|list|outdated|view|--version|-v|root|prefix|bin)\b", call.line))
        and "://" not in call.line
    ),
    "pip": lambda call: bool(re.match(r"^pip3? (list|show|freeze|check|--version)\b", call.line)),
    "pip3": lambda call: bool(re.match(r"^pip3? (list|show|freeze|check|--version)\b", call.line)),
}


FOLDER_ONLY: Final = frozenset("cp chmod ln gzip gunzip bzip2 bunzip2 xz unxz zstd".split())
"""Programs that write by relative paths: allowed only where those stay in the folder of the work."""


def allowed(call: Call) -> bool:
    """Whether a simple command is known to do no harm by itself."""
    word = call.argv[0]
    name = call.name
    if "/" in word and not re.fullmatch(r"(/usr)?/s?bin/\w[\w.-]*", word):
        return False
    if name in READS:
        return True
    test = PROGRAMS.get(name)
    if test is not None and test(call):
        return True
    return _version(call)

"""Judges one simple command: what it starts, what the rules find, where it writes, whether it is known as harmless."""

import re
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, Final

from defender.commands import constants
from defender.commands.allow import FOLDER_ONLY, allowed
from defender.commands.calls import Call, operands
from defender.commands.carriers import CARRIERS
from defender.commands.families import listed
from defender.commands.interpreters import SHELLS, run
from defender.commands.kept import at_work, data, derived
from defender.commands.marks import DECODED, NETWORK, SECRET, UNKNOWN, marked, tags, without
from defender.commands.places import ACCOUNTS, DISKS, HARMLESS, LOGS, STARTS, SYSTEM, TEMPORARY
from defender.commands.rules import about, index
from defender.commands.scope import HOME
from defender.commands.words import MOST_BRACKETS
from defender.commands.wrappers import Carried, Wrapper, loader, plain
from defender.commands.writers import writes
from defender.findings import Signal
from runtime.vocab import Decision

if TYPE_CHECKING:
    from defender.commands.reader import Reader

DECLARING: Final = frozenset("declare typeset local export readonly".split())
_RUN_BY: Final = frozenset(
    "PAGER MANPAGER GIT_PAGER EDITOR VISUAL GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_SSH_COMMAND GIT_SSH GIT_ASKPASS"
    " SSH_ASKPASS SUDO_ASKPASS"
    " GIT_EXTERNAL_DIFF GIT_PROXY_COMMAND PROMPT_COMMAND BROWSER LESSOPEN LESSCLOSE RSYNC_RSH CVS_RSH"
    " SVN_SSH FCEDIT SYSTEMD_PAGER"
    " PS0 PS1 PS4 MAKEFLAGS GIT_CONFIG_VALUE_0 PERL5DB TAR_OPTIONS DIFFPROG SUDO_EDITOR BAT_PAGER".split()
)
"""Variables whose value some program runs."""
_LOADED: Final = re.compile(
    r"LD_(PRELOAD|AUDIT|LIBRARY_PATH)|DYLD_(INSERT_LIBRARIES|LIBRARY_PATH|FRAMEWORK_PATH)|BASH_ENV|ENV|PYTHON(STARTUP|PATH|HOME|WARNINGS)|PERL5(OPT|LIB)"
    r"|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_(CONFIG\w*|EXEC_PATH|TEMPLATE_DIR|DIR|WORK_TREE|COMMON_DIR)|PATH|ZDOTDIR|INPUTRC|OPENSSL_CONF|GCONV_PATH|COR_PROFILER\w*|CORECLR_\w+|PHPRC|BASH_FUNC_\w+\S*|SHELLOPTS|BASHOPTS|TERMINFO|SSLKEYLOGFILE|HTTPS?_PROXY|https?_proxy|HIST\w+"
)
_BLOCKED_LOAD: Final = frozenset({"LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "BASH_ENV", "PROMPT_COMMAND"})
_EVALUATING: Final = frozenset(
    "test [ [[ printf unset read declare typeset local let export readonly wait mapfile readarray".split()
)
_FOLDERS: Final = ("/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "")


def note(reader: "Reader", call: Call, signal: Signal) -> None:
    """Keep what was found about a command."""
    call.signals.append(signal)
    reader.signals.append(signal)
    if signal.floor is Decision.BLOCK:
        call.decision = Decision.BLOCK
    elif call.decision is Decision.ALLOW:
        call.decision = Decision.REVIEW


def calls_itself(name: str, body: str) -> bool:
    """Whether a function pipes into itself or starts itself in the background."""
    word = re.escape(name)
    return re.search(rf"(?<![\w-]){word}\s*\|\s*{word}(?![\w-])|(?<![\w-]){word}\s*&(?!&)", body) is not None


def known(name: str) -> bool:
    """Whether a program of this name has rules, or starts others."""
    return name in index()[0] or name in CARRIERS


def bare(reader: "Reader", call: Call) -> None:
    """A command without a program: assignments and redirections alone."""
    call.decision = Decision.ALLOW
    call.effect = "none"


def assigned(reader: "Reader", call: Call) -> None:
    """Judge variables that are set: some are run or loaded by other programs."""
    for name, value in call.assigned:
        if re.search(r"\w\[.*(\$\(|`)", value):
            reader.words.here(value)
            note(
                reader,
                call,
                Signal(
                    "command.subscript", 0.76, "Arithmetic would run a command in a subscript.", value, Decision.REVIEW
                ),
            )
        if name in _RUN_BY and value:
            if name in {"PS0", "PS1", "PS4"} and "$(" not in value and "`" not in value:
                continue
            before = len(reader.signals)
            reader.read(value, f"{name}=")
            del before
            if re.search(r"[\s/;|&]", value) or marked(value):
                note(
                    reader,
                    call,
                    Signal(
                        "command.variable-run",
                        0.74,
                        "Some program will run the value of this variable.",
                        f"{name}={value}",
                        Decision.REVIEW,
                    ),
                )
        found = _LOADED.fullmatch(name)
        if not found:
            continue
        if (name in _BLOCKED_LOAD and ("/" in value or marked(value))) or (name == "ENV" and TEMPORARY.match(value)):
            note(
                reader,
                call,
                Signal(
                    "command.variable-loaded",
                    0.93,
                    "Programs would load this as code.",
                    f"{name}={value}",
                    Decision.BLOCK,
                ),
            )
        elif name != "PATH" or not re.match(r"(/usr(/local)?|/opt/homebrew)?/s?bin(:|$)", value):
            note(
                reader,
                call,
                Signal(
                    "command.variable-changes",
                    0.72,
                    "Changes what programs load or where they look.",
                    f"{name}={value}",
                    Decision.REVIEW,
                ),
            )


def redirected(reader: "Reader", call: Call, out: str) -> None:
    """Judge where the output goes."""
    for move in call.redirects:
        if not move.writes or move.target in HARMLESS or (move.sign in {">&", "<&"} and move.target.isdigit()):
            continue
        where = reader.scope.path(move.target)
        evidence = f"{move.sign} {move.target}"
        if re.match(r"/dev/(tcp|udp)/", where):
            if not call.argv or SECRET in out:
                note(
                    reader,
                    call,
                    Signal(
                        "command.secret-on-socket",
                        0.96,
                        "Writes to a connection that the shell itself opens.",
                        evidence,
                        Decision.BLOCK if out or call.argv else Decision.REVIEW,
                    ),
                )
            continue
        if DISKS.match(where):
            note(reader, call, Signal("command.disk-written", 0.98, "Writes over a disk.", evidence, Decision.BLOCK))
        elif re.match(
            r"/etc/(passwd|g?shadow|sudoers|group|ld\.so\.preload|pam\.d/|ssh/sshd_config|doas)|.*/authorized_keys|.*/\.git/hooks/|/proc/sysrq|/proc/sys/kernel|/sys/kernel|/etc/(hosts|fstab|resolv\.conf)$|/boot/",
            where,
        ) and (move.sign != ">>" or not where.startswith("/etc/hosts")):
            note(
                reader,
                call,
                Signal(
                    "command.guard-written",
                    0.95,
                    "Writes to a file that says who may do what, or that runs by itself.",
                    evidence,
                    Decision.BLOCK,
                ),
            )
        elif STARTS.search(where):
            hot = _dangerous(reader, out)
            note(
                reader,
                call,
                Signal(
                    "command.starts-written",
                    0.93 if hot else 0.79,
                    "Writes to a file that starts by itself.",
                    evidence,
                    Decision.BLOCK if hot else Decision.REVIEW,
                ),
            )
        elif LOGS.search(where):
            note(
                reader,
                call,
                Signal(
                    "command.log-overwritten",
                    0.78,
                    "Writes over the record of what happened.",
                    evidence,
                    Decision.REVIEW,
                ),
            )
        elif SYSTEM.match(where) or ACCOUNTS.match(where):
            note(
                reader,
                call,
                Signal(
                    "command.system-file-written",
                    0.74,
                    "Writes into a folder of the system.",
                    evidence,
                    Decision.REVIEW,
                ),
            )
        elif marked(where[:1]):
            note(
                reader,
                call,
                Signal(
                    "command.unknown-written",
                    0.6,
                    "Writes to a file whose name is not known.",
                    evidence,
                    Decision.REVIEW,
                ),
            )
        elif SECRET in out:
            note(
                reader,
                call,
                Signal("command.secret-kept", 0.77, "Copies credentials into another file.", evidence, Decision.REVIEW),
            )
        elif "/." in where:
            note(
                reader,
                call,
                Signal("command.hidden-written", 0.66, "Writes to a hidden file.", evidence, Decision.REVIEW),
            )
        elif TEMPORARY.match(where):
            note(
                reader,
                call,
                Signal(
                    "command.temporary-written",
                    0.6,
                    "Writes a file where everybody may write.",
                    evidence,
                    Decision.REVIEW,
                ),
            )
        elif not _derived(reader, call, move.target, out):
            note(reader, call, Signal("command.file-written", 0.52, "Writes a file.", evidence, Decision.REVIEW))


_DICTATING: Final = frozenset({"echo", "printf", "print", ":", "true", "yes", "seq", "figlet", "cowsay", ""})
"""Programs whose output stands in the command itself."""


def _derived(reader: "Reader", call: Call, target: str, out: str) -> bool:
    """Whether data of the folder is written that was worked out of files, not dictated by the command."""
    sources = call.parts or [call]
    return (
        (bool(call.parts) or len(call.argv) > 1)
        and not any(one.name in _DICTATING or not derived(one.stdin) for one in sources)
        and data(target)
        and at_work(reader.scope)
        and derived(out)
        and derived(call.stdin)
    )


def _dangerous(reader: "Reader", text: str) -> bool:
    """Whether a text that will be run later holds something that may never run."""
    if NETWORK in text or DECODED in text:
        return True
    if not without(text).strip():
        return False
    before = len(reader.signals)
    for line in text.split("\n")[:20]:
        found = re.match(r"\s*(?:@\w+|(?:[\d*/,-]+\s+){5})(?:\w+\s+)?(.+)", line)
        reader.read(found[1] if found else line, "later")
    kept = [signal for signal in reader.signals[before:] if signal.floor is Decision.BLOCK]
    del reader.signals[before:]
    reader.signals += kept
    return bool(kept)


def _named(reader: "Reader", call: Call) -> None:
    """Work out a program whose path holds stars: what it may stand for among the programs that have rules."""
    word = call.argv[0]
    if not any(sign in word for sign in "*?[") or word in {"[", "[["}:
        return
    reader.unresolved(word, "command.name-by-pattern", "The program is named by a pattern.", 0.74)
    if word.count("[") > MOST_BRACKETS:
        return
    try:
        found = re.search(f"(?m)^(?:{translate(word)[4:-3]})$", _programs())
    except re.error:
        return
    if found:
        call.argv = [found[0].rsplit("/", 1)[-1], *call.argv[1:]]
        call.forget()


@cache
def _programs() -> str:
    """Every place of every program that has rules, those first that do most harm."""
    names = sorted({*SHELLS, *index()[0]}, key=lambda one: (one not in {"rm", "sh", "bash", "cat", "nc", "curl"}, one))
    return "\n".join(f"{folder}{name}" for name in names for folder in _FOLDERS)


def consider(reader: "Reader", call: Call) -> str:
    """Judge a simple command, and return what it prints."""
    word = call.argv[0]
    _named(reader, call)
    if marked(word):
        if NETWORK in word or DECODED in word:
            reason = "What comes over the network would run here unseen."
            note(reader, call, Signal("command.network-to-shell", 0.95, reason, call.line, Decision.BLOCK))
        reason = "It cannot be worked out which program would run."
        note(reader, call, Signal("command.unresolved-program", 0.66, reason, word, Decision.REVIEW))
        if not call.name:
            return UNKNOWN + tags(word)
    _evened(reader, call)
    name = call.name
    if call.assigned:
        _declared(reader, call)
    if name in _EVALUATING:
        _evaluated(reader, call)
    if name == "set" and "--" in call.args:
        _positional(reader, call)
    carried = _carried(reader, call)
    for rule in about(name):
        if rule.finds(call, reader.scope):
            note(reader, call, Signal(rule.id, rule.risk, rule.reason, call.line, rule.decision))
    if "/" in word:
        _executed(reader, call)
    if name in {"cd", "pushd"}:
        words = operands(call.args)
        reader.scope.enter(words[0] if words else HOME)
    elif name in {"ln", "link", "mount"}:
        reader.scope.values["made links"] = "yes"
    elif name == "git":
        _remembered(reader, call)
    if not call.signals:
        _listed(reader, call, harmless=carried is not None and carried.harmless)
    return constants.prints(reader, call) if carried is None else carried.out


def _evened(reader: "Reader", call: Call) -> None:
    """On some disks `RM` is `rm`: read it as that, and never allow it."""
    name = call.name
    if name != name.lower() and name.lower() in index()[0]:
        reader.unresolved(name, "command.odd-case", "The name of the program is written in an odd way.", 0.74)
        call.argv = [name.lower(), *call.argv[1:]]
        call.forget()


def _declared(reader: "Reader", call: Call) -> None:
    assigned(reader, call)
    if call.name in DECLARING:
        scope = reader.scope
        for key, value in call.assigned:
            if key not in scope.references and not isinstance(scope.values.get(key), dict):
                scope.set(key, value)


def _positional(reader: "Reader", call: Call) -> None:
    """`set -- words`: they are `$@` and `$1` from here on."""
    words = list(call.args)[list(call.args).index("--") + 1 :]
    reader.scope.values["@"] = {str(at + 1): word for at, word in enumerate(words)}
    for at, word in enumerate(words[:9]):
        reader.scope.values[str(at + 1)] = word


def _carried(reader: "Reader", call: Call) -> Carried | None:
    name = call.name
    carrier = CARRIERS.get(name) or CARRIERS.get(name.rstrip("0123456789."))
    if carrier is None and "ld" in name and loader(name):
        carrier = plain(Wrapper("", ("--library-path", "--preload", "--argv0", "--inhibit-rpath", "--audit")))
        note(
            reader, call, Signal("command.loader", 0.72, "Starts a program by the loader.", call.line, Decision.REVIEW)
        )
    return carrier(reader, call) if carrier is not None else None


def _listed(reader: "Reader", call: Call, *, harmless: bool) -> None:
    """Where no rule found anything: is the command on the list of the harmless?"""
    if harmless or _harmless(reader, call):
        call.decision = Decision.ALLOW
        call.effect = "none"
    elif call.name in {"sudo", "doas", "pkexec"}:
        reason = "Runs with the rights of root."
        note(reader, call, Signal("command.as-root", 0.53, reason, call.line, Decision.REVIEW))
    else:
        reason = "Not on the list of commands that are known to be harmless."
        note(reader, call, Signal("command.not-listed", 0.51, reason, call.line, Decision.REVIEW))


def _harmless(reader: "Reader", call: Call) -> bool:
    """Whether a list holds the call; what writes by relative paths must stand in the folder of the work."""
    scope = reader.scope
    here = at_work(scope)
    if allowed(call) and (here or call.name not in FOLDER_ONLY):
        return True
    if call.name == "echo" or "/" in call.argv[0]:
        return False
    return (here and listed(call)) or writes(call, scope)


def _evaluated(reader: "Reader", call: Call) -> None:
    """Builtins that work out subscripts in their words, and those that set what programs load."""
    for arg in call.args:
        if "[" in arg and ("$(" in arg or "`" in arg):
            reader.words.here(arg)
            note(
                reader,
                call,
                Signal(
                    "command.subscript", 0.76, "Arithmetic would run a command in a subscript.", arg, Decision.REVIEW
                ),
            )
        name = arg.partition("=")[0].rstrip("+")
        if (name in _BLOCKED_LOAD or name in _RUN_BY) and name == arg:
            note(
                reader,
                call,
                Signal("command.variable-changes", 0.72, "Changes what programs load or run.", arg, Decision.REVIEW),
            )


def _executed(reader: "Reader", call: Call) -> None:
    """A program named by its path: what is known to stand in that file?"""
    text = reader.scope.files.get(reader.scope.path(call.argv[0]))
    if text is None:
        return
    if text != UNKNOWN:
        run(reader, call, text, call.argv[0])


def _remembered(reader: "Reader", call: Call) -> None:
    found = re.search(r"\bremote (?:add|set-url) (?:-\S+ )*(\S+) \S+", call.line)
    if found:
        reader.scope.values["git remote"] = found[1]
    if re.search(r"\breset .*--hard", call.line):
        reader.scope.values["git reset"] = "hard"

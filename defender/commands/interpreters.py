"""Programs that are told in words what to run: shells, `eval`, `trap`, and languages with their code on the command line."""

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from defender.commands.calls import Call, operands
from defender.commands.marks import DECODED, HOLES, ITEM, NETWORK, UNKNOWN, marked, tags, without
from defender.commands.wrappers import Carried

if TYPE_CHECKING:
    from defender.commands.reader import Reader

SHELLS: Final = frozenset(
    "sh bash zsh dash ksh ksh93 mksh pdksh ash fish csh tcsh rbash yash oksh posh elvish xonsh osh".split()
)
"""Programs that run shell text."""
LANGUAGES: Final[dict[str, tuple[str, ...]]] = {
    "python": ("-c",),
    "perl": ("-e", "-E"),
    "ruby": ("-e",),
    "node": ("-e", "--eval", "-p", "--print", "-pe"),
    "nodejs": ("-e", "--eval", "-p"),
    "deno": ("eval",),
    "bun": ("-e", "--eval"),
    "php": ("-r", "-B", "-R"),
    "lua": ("-e",),
    "luajit": ("-e",),
    "tclsh": (),
    "wish": (),
    "expect": ("-c",),
    "guile": ("-c",),
    "osascript": ("-e",),
    "julia": ("-e", "-E"),
    "Rscript": ("-e",),
    "R": ("-e",),
    "irb": ("-e",),
    "jrunscript": ("-e",),
    "jjs": (),
    "ghc": ("-e",),
    "erl": ("-eval",),
    "elixir": ("-e",),
    "scala": ("-e",),
    "groovy": ("-e",),
    "pypy": ("-c",),
    "swift": ("-e",),
    "raku": ("-e",),
    "awk": (),
    "gawk": ("-e",),
    "mawk": (),
    "nawk": (),
    "octave": ("--eval",),
    "jshell": (),
    "pwsh": ("-c", "-Command"),
    "telnetlib": (),
}
"""Languages, and the options that take code."""
_VERSION: Final = re.compile(r"(python|pypy|perl|ruby|php|lua|node|awk)[\d.]+")
_CALLS: Final = re.compile(
    r"\b(system|popen|exec\w*|spawn\w*|shell_exec|passthru|proc_open|check_output|check_call|call|run|Popen|getoutput|getstatusoutput"
    r"|execSync|spawnSync|execFile\w*|IO\.popen|os\.execute|do shell script|doShellScript|child_process|subprocess|qx|__import__|getline)\b|`|%x|\|&|\|\s*\"|\bio\.popen"
)
_LITERAL: Final = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|`([^`]*)`|qx?[{(/|]([^})/|]*)[})/|]")
_ENCODED: Final = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{8,}={0,2}(?![A-Za-z0-9+/=])")


def shell(reader: "Reader", call: Call) -> Carried | None:
    """Read what a shell is told to run: `-c TEXT`, a file, or its input."""
    args = list(call.args)
    at = 0
    while at < len(args):
        arg = args[at]
        if arg in {"--rcfile", "--init-file", "-o", "+o", "-O", "+O"}:
            if arg in {"--rcfile", "--init-file"} and at + 1 < len(args):
                _source(reader, call, args[at + 1])
            at += 2
        elif arg == "--command" or arg.startswith("--command="):
            text = arg.partition("=")[2] or (args[at + 1] if at + 1 < len(args) else "")
            return Carried(run(reader, call, text, f"{call.name} -c"))
        elif arg == "--":
            at += 1
            break
        elif re.fullmatch(r"[-+][a-zA-Z]+", arg):
            at += 1
            if "c" in arg[1:] and arg[0] == "-":
                if "o" in arg[1:]:
                    at += 1
                while at < len(args) and (args[at] in {"--", "-"} or re.fullmatch(r"[-+][a-zA-Z]+", args[at])):
                    at += 1
                if at >= len(args):
                    return None
                _numbered(reader, args[at + 1 :])
                return Carried(run(reader, call, args[at], f"{call.name} -c"))
            if "s" in arg[1:]:
                _numbered(reader, ["", *args[at:]])
                return _input(reader, call)
        elif arg.startswith("-") and len(arg) > 1:
            at += 1
        else:
            break
    rest = args[at:]
    if rest and rest[0] != "-":
        _numbered(reader, rest)
        return _source(reader, call, rest[0])
    return _input(reader, call)


def _numbered(reader: "Reader", args: list[str]) -> None:
    for number, arg in enumerate(args[:10]):
        reader.scope.values[str(number)] = arg


def _input(reader: "Reader", call: Call) -> Carried | None:
    if not call.stdin:
        return None
    reader.unresolved(call.line, "command.text-to-shell", "A shell runs what is piped to it.", 0.7)
    return Carried(run(reader, call, call.stdin, f"… | {call.name}"))


def _source(reader: "Reader", call: Call, path: str) -> Carried | None:
    if path in {"/dev/stdin", "-", "/proc/self/fd/0", "/dev/fd/0"}:
        return _input(reader, call)
    text = reader.content(path)
    if text in HOLES:
        return None
    return Carried(run(reader, call, text, f"{call.name} {path}"))


def run(reader: "Reader", call: Call, text: str, how: str) -> str:
    """Read a text that a shell runs; one from the network or out of a decoder may never run."""
    if NETWORK in text:
        reader.block("command.network-to-shell", "What comes over the network would run here unseen.", call.line)
    elif DECODED in text:
        reader.block("command.decoded-to-shell", "What comes out of a decoder would run here unseen.", call.line, 0.93)
    if ITEM in text:
        reader.unresolved(text, "command.items-to-shell", "Words that nobody has seen would run as a command.", 0.7)
    if text in HOLES or not without(text).strip():
        reader.unresolved(call.line, "command.unknown-to-shell", "What a shell is told to run is not known.", 0.66)
        return UNKNOWN + tags(text)
    return reader.read(text, how)


def evaluate(reader: "Reader", call: Call) -> Carried | None:
    """`eval words…`: its words are a text for the shell."""
    text = " ".join(arg for at, arg in enumerate(call.args) if arg != "--" or at)
    return Carried(run(reader, call, text, "eval"), harmless=False) if text else None


def source(reader: "Reader", call: Call) -> Carried | None:
    """`source FILE`, `. FILE`: runs a file in this shell."""
    names = operands(call.args)
    return _source(reader, call, names[0]) if names else None


def trap(reader: "Reader", call: Call) -> Carried | None:
    """`trap TEXT SIGNAL`: runs the text later."""
    words = operands(call.args)
    if len(words) < 2 or words[0] in {"", "-"}:
        return None
    return Carried(reader.read(words[0], "trap"))


def alias(reader: "Reader", call: Call) -> Carried | None:
    """`alias name=TEXT`: the text is read now, and again where the name is called."""
    for arg in call.args:
        name, sign, text = arg.partition("=")
        if sign:
            reader.scope.aliases[name] = text
            reader.read(text, f"alias {name}")
    return Carried("", harmless=not any("=" in arg for arg in call.args))


def language(reader: "Reader", call: Call) -> Carried | None:
    """Look through code on the command line: what it hands to a shell is read, the rest is matched by the rules of code."""
    from defender.commands.rules import code

    name = _VERSION.sub(lambda found: found[1], call.name)
    wanted = LANGUAGES.get(name, ())
    texts: list[str] = []
    args = list(call.args)
    for at, arg in enumerate(args):
        for sign in wanted:
            if arg == sign and at + 1 < len(args):
                texts.append(args[at + 1])
            elif arg.startswith(f"{sign}=") or (
                len(sign) == 2 and len(arg) > 2 and arg.startswith(sign) and arg[:2] != "--"
            ):
                texts.append(arg[2:] if not arg.startswith("--") else arg.partition("=")[2])
            elif len(sign) == 2 and re.fullmatch(rf"-[a-zA-Z0-9]*{sign[1]}", arg) and at + 1 < len(args):
                texts.append(args[at + 1])
    if name in {"awk", "gawk", "mawk", "nawk"}:
        words = operands(args)
        texts += words[:1] if not texts else []
    elif not texts:
        words = list(operands(args))
        if not words or words[0] == "-":
            if call.stdin is not None:
                texts.append(call.stdin)
        else:
            texts.append(reader.content(words[0]))
    for text in texts:
        look(reader, call, text, code)
    return None


def look(reader: "Reader", call: Call, text: str, code: object) -> None:
    """Look through one piece of code."""
    from defender.commands.rules.code import findings

    if NETWORK in text:
        reader.block("command.network-to-code", "What comes over the network would run here unseen.", call.line)
        return
    if DECODED in text:
        reader.block("command.decoded-to-code", "What comes out of a decoder would run here unseen.", call.line, 0.92)
        return
    if marked(text):
        reader.unresolved(call.line, "command.unknown-code", "What the program is told to run is not known.", 0.6)
    for signal in findings(text):
        reader.signals.append(signal)
    opened = list(_literals(text))
    if re.match(r"[a-z]+ -[\w-]+ \S", text):
        opened.insert(0, text)
    for literal in opened[:12]:
        for found in _ENCODED.findall(literal):
            plain = _plain(found)
            if plain and _CALLS.search(text):
                reader.read(plain, f"{call.name}: decoded")
                for signal in findings(plain):
                    reader.signals.append(signal)
    if _CALLS.search(text) or opened[:1] == [text]:
        for literal in opened[:12]:
            if len(literal) > 3 and re.search(r"[\s/|;]", literal):
                _told(reader, call, literal)
        lists = re.search(r"\[\s*((?:[\"'][^\"']*[\"']\s*,?\s*)+)\]", text)
        if lists:
            words = [one or two for one, two in re.findall(r"\"([^\"]*)\"|'([^']*)'", lists[1])]
            if words:
                reader.nested(call, words, f"{call.name}: call", stdin="")


def _told(reader: "Reader", call: Call, literal: str) -> None:
    """Read a text in code as a command, for what it denies; text that is no command is no finding."""
    before = len(reader.signals)
    calls = len(reader.calls)
    reader.read(literal.replace('\\"', '"').replace("\\'", "'"), f"{call.name}: text")
    kept = [signal for signal in reader.signals[before:] if signal.rule not in _WEAK]
    del reader.signals[before:]
    reader.signals += kept
    del calls


_WEAK: Final = frozenset({"command.unparsed", "command.unresolved", "command.unresolved-text"})


def _literals(text: str) -> list[str]:
    return [next((group for group in found if group), "") for found in _LITERAL.findall(text)]


def _plain(text: str) -> str:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (ValueError, binascii.Error):
        return ""
    return plain if plain.isprintable() or "\n" in plain else ""

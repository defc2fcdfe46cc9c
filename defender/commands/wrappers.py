"""Programs that start the command which stands in their words: `sudo`, `env`, `timeout`, `busybox`, `watch`, and so on.

Each takes its own options away and has the rest read as a command. `Carried.harmless` says that the wrapper by itself is
no reason for a question: then what it starts decides alone.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from defender.commands.calls import Call, flags, option
from defender.commands.marks import ITEM, UNKNOWN, marked, tags

if TYPE_CHECKING:
    from defender.commands.reader import Reader


@frozen
class Carried:
    """What the carried command prints, and whether the carrier itself is harmless."""

    out: str
    harmless: bool = False


Carrier = Callable[["Reader", Call], Carried | None]


@frozen
class Wrapper:
    """How a wrapper is written: letters and long names of options with a value, words before the command, harmless or not.

    `joined` means that the words are put together and read by a shell.
    """

    values: str = ""
    longs: tuple[str, ...] = ()
    before: int = 0
    harmless: bool = False
    joined: bool = False
    letters: str = ""
    """Letters of options without a value. A harmless wrapper with an option that is not known here is not harmless."""


def skip(args: Sequence[str], values: str, longs: Sequence[str] = ()) -> int:
    """Return at which word the options end."""
    at = 0
    while at < len(args):
        arg = args[at]
        if arg == "--":
            return at + 1
        if len(arg) < 2 or arg[0] != "-":
            return at
        at += 1
        if arg.startswith("--"):
            if arg in longs:
                at += 1
        elif (arg[1] in values and len(arg) == 2) or (arg[1] not in values and arg[-1] in values and len(arg) > 2):
            at += 1
    return at


def understood(args: Sequence[str], wrapper: Wrapper) -> bool:
    """Whether all options in front of a command are known, so that it is sure which word is the command."""
    for arg in args:
        if arg.startswith("--"):
            if arg.partition("=")[0] not in {
                *wrapper.longs,
                "--",
                "--foreground",
                "--preserve-status",
                "--verbose",
                "--portability",
            }:
                return False
        elif len(arg) > 1 and arg[0] == "-":
            for letter in arg[1:]:
                if letter in wrapper.values:
                    break
                if letter not in wrapper.letters:
                    return False
    return True


_SAFE: Final = Wrapper(harmless=True)
WRAPPERS: Final[dict[str, Wrapper]] = {
    "sudo": Wrapper(
        "ugpCDhRrTtU", ("--user", "--group", "--prompt", "--chdir", "--host", "--chroot", "--role", "--type")
    ),
    "doas": Wrapper("uC"),
    "pkexec": Wrapper("", ("--user",)),
    "nohup": _SAFE,
    "setsid": Wrapper("", harmless=False),
    "time": Wrapper("fo", ("--format", "--output"), harmless=True, letters="pvqa"),
    "nice": Wrapper("n", ("--adjustment",), harmless=True, letters="0123456789"),
    "ionice": Wrapper("cnpPu", ("--class", "--classdata"), harmless=True, letters="t"),
    "timeout": Wrapper("sk", ("--signal", "--kill-after"), 1, harmless=True, letters="v"),
    "gtimeout": Wrapper("sk", ("--signal", "--kill-after"), 1, harmless=True, letters="v"),
    "stdbuf": Wrapper("ioe", ("--input", "--output", "--error"), harmless=True),
    "builtin": _SAFE,
    "exec": Wrapper("a"),
    "coproc": Wrapper(),
    "noglob": _SAFE,
    "nocorrect": _SAFE,
    "chroot": Wrapper("", ("--userspec", "--groups"), 1),
    "unshare": Wrapper("SGRw", ("--root", "--wd", "--setuid", "--setgid")),
    "nsenter": Wrapper("tSGrw", ("--target", "--setuid", "--setgid")),
    "chrt": Wrapper("pTPD", (), 1),
    "taskset": Wrapper("", (), 1),
    "strace": Wrapper("aeEIoOpPsSuUbX"),
    "ltrace": Wrapper("aAeFlnopsuwxX"),
    "fakeroot": Wrapper("lsib"),
    "fakechroot": Wrapper(),
    "proot": Wrapper("rbqwkpS"),
    "eatmydata": _SAFE,
    "catchsegv": _SAFE,
    "dbus-run-session": Wrapper("", ("--config-file",)),
    "dbus-launch": Wrapper(),
    "xvfb-run": Wrapper("efnpsw"),
    "torsocks": Wrapper("aPup"),
    "torify": Wrapper(),
    "tsocks": Wrapper(),
    "proxychains": Wrapper("f"),
    "proxychains4": Wrapper("f"),
    "caffeinate": Wrapper("tw", harmless=True, letters="disum"),
    "unbuffer": _SAFE,
    "chpst": Wrapper("uUebmdofcpr/"),
    "setpriv": Wrapper("", ("--reuid", "--regid", "--groups")),
    "setuidgid": Wrapper("", (), 1),
    "softlimit": Wrapper("adfmorstcl"),
    "envdir": Wrapper("", (), 1),
    "gosu": Wrapper("", (), 1),
    "su-exec": Wrapper("", (), 1),
    "firejail": Wrapper(),
    "rlwrap": Wrapper("bcCDfFgHlmpPqsS"),
    "setarch": Wrapper("", (), 0),
    "linux64": Wrapper(),
    "linux32": Wrapper(),
    "prlimit": Wrapper("p"),
    "numactl": Wrapper("CNmipl"),
    "cgexec": Wrapper("g"),
    "valgrind": Wrapper(),
    "systemd-run": Wrapper(
        "pEMHut",
        (
            "--unit",
            "--slice",
            "--property",
            "--on-calendar",
            "--on-active",
            "--on-boot",
            "--uid",
            "--gid",
            "--working-directory",
        ),
    ),
    "systemd-inhibit": Wrapper("", ("--what", "--who", "--why", "--mode")),
    "start-stop-daemon": Wrapper("pnuxagd", ("--pidfile", "--exec", "--name", "--user", "--chuid", "--startas")),
    "daemonize": Wrapper("acelopu"),
    "screen": Wrapper("SctTseh"),
    "dtach": Wrapper("nAcN"),
    "abduco": Wrapper("nAce"),
    "hyperfine": Wrapper("wmMrnSpc", joined=True),
    "entr": Wrapper(),
    "watchexec": Wrapper("eiwfsdpn"),
    "nodemon": Wrapper("ew"),
    "aa-exec": Wrapper("pn"),
    "runcon": Wrapper("", ("--user", "--role", "--type"), 1),
    "capsh": Wrapper(),
    "choom": Wrapper("n"),
    "scriptlive": Wrapper("tIO"),
    "with-contenv": Wrapper(),
    "ld.so": Wrapper("", ("--library-path", "--preload", "--argv0")),
    "tini": Wrapper("pegw"),
    "dumb-init": Wrapper(),
    "uftrace": Wrapper(),
    "gdb": Wrapper("xpcd"),
    "sshpass": Wrapper("pfdeP"),
    "expect_unbuffer": Wrapper(),
    "ts": Wrapper(),
    "chronic": Wrapper(),
    "ifne": Wrapper("n"),
    "lckdo": Wrapper("W", (), 1),
    "parallel_run": Wrapper(),
    "direnv": Wrapper("", (), 0),
    "watch": Wrapper("nq", ("--interval",), harmless=True, joined=True, letters="dgtbecx"),
}
_LOADERS: Final = re.compile(r"ld(-linux[\w.-]*|-musl[\w.-]*|-2\.\d+)?\.so(\.\d+)?")


def plain(wrapper: Wrapper) -> Carrier:
    """Return the carrier of a wrapper of the common kind."""

    def carry(reader: "Reader", call: Call) -> Carried | None:
        args = list(call.args)
        at = skip(args, wrapper.values, wrapper.longs) + wrapper.before
        while at < len(args) and "=" in args[at] and re.match(r"\w+=", args[at]):
            at += 1
        if at >= len(args):
            return None
        rest = args[at:]
        harmless = wrapper.harmless and understood(args[: len(args) - len(rest)], wrapper)
        if wrapper.joined:
            return Carried(reader.read(" ".join(rest), call.name, call.stdin), harmless)
        return Carried(reader.nested(call, rest, call.name), harmless)

    return carry


def env(reader: "Reader", call: Call) -> Carried | None:
    """`env -i A=b command`, and `env -S 'command words'`."""
    args = list(call.args)
    at, sure = 0, True
    pairs: list[tuple[str, str]] = []
    while at < len(args):
        arg = args[at]
        if arg in {"-S", "--split-string"} or arg.startswith(("-S", "--split-string=")) or re.match(r"-[iv0]+S", arg):
            text = (
                arg.partition("=")[2]
                if arg.startswith("--s") and "=" in arg
                else re.sub(r"^(-[iv0]*S|--split-string)", "", arg)
            )
            rest = [text, *args[at + 1 :]] if text else args[at + 1 :]
            return Carried(reader.read(" ".join(rest), "env -S", call.stdin))
        if arg in {"-u", "--unset", "-C", "--chdir", "-P", "-a", "--argv0"}:
            at += 2
        elif arg.startswith("-"):
            sure = sure and arg in {"-i", "-", "-0", "-v", "--ignore-environment", "--null", "--debug"}
            at += 1
        elif re.match(r"[A-Za-z_]\w*=", arg):
            pairs.append((arg.partition("=")[0], arg.partition("=")[2]))
            at += 1
        else:
            break
    from defender.commands import judge

    if pairs:
        call.assigned = [*call.assigned, *pairs]
        judge.assigned(reader, call)
    if at >= len(args):
        return None
    return Carried(reader.nested(call, args[at:], "env"), harmless=sure)


def command(reader: "Reader", call: Call) -> Carried | None:
    """`command ls` runs it, `command -v ls` asks where it is."""
    letters = flags(call.args[:1])
    if "v" in letters or "V" in letters:
        return None
    at = skip(call.args, "")
    return Carried(reader.nested(call, call.args[at:], "command"), harmless=True) if at < len(call.args) else None


def applet(reader: "Reader", call: Call) -> Carried | None:
    """`busybox rm …`: one program with many names."""
    args = [arg for arg in call.args if arg not in {"--list", "--install", "--help"}]
    return Carried(reader.nested(call, args, call.name), harmless=True) if args else None


def with_text(*names: str, harmless: bool = False) -> Carrier:
    """Return the carrier of a program that takes a shell text as the value of an option, else as words."""

    def carry(reader: "Reader", call: Call) -> Carried | None:
        text = option(call.args, *names)
        if text is None:
            return None
        return Carried(reader.read(text, f"{call.name} {names[0]}", call.stdin), harmless)

    return carry


def su(reader: "Reader", call: Call) -> Carried | None:
    """`su -c TEXT`, `runuser -u NAME -- COMMAND`."""
    text = option(call.args, "-c", "--command", "--session-command")
    if text is not None:
        return Carried(reader.read(text, call.name, call.stdin))
    if call.name == "runuser" and "-u" in call.args:
        at = skip(call.args, "ugG")
        return Carried(reader.nested(call, call.args[at:], call.name)) if at < len(call.args) else None
    return Carried(reader.read(call.stdin, call.name)) if call.stdin else None


def script(reader: "Reader", call: Call) -> Carried | None:
    """`script -c TEXT file`, and the BSD way `script file command`."""
    for at, arg in enumerate(call.args):
        if arg.startswith("--command="):
            return Carried(reader.read(arg.partition("=")[2], "script"))
        if arg == "--command" or (re.fullmatch(r"-[a-zA-Z]*c", arg) and at + 1 < len(call.args)):
            return Carried(reader.read(call.args[at + 1], "script"))
    at = skip(call.args, "tITBOomE")
    rest = call.args[at + 1 :]
    return Carried(reader.nested(call, rest, "script")) if rest else None


def flock(reader: "Reader", call: Call) -> Carried | None:
    """`flock FILE command`, `flock FILE -c TEXT`."""
    text = option(call.args, "-c", "--command")
    if text is not None:
        return Carried(reader.read(text, "flock"))
    at = skip(call.args, "wE", ("--timeout", "--wait", "--conflict-exit-code")) + 1
    rest = call.args[at:]
    return Carried(reader.nested(call, rest, "flock"), harmless=True) if rest else None


_XARGS: Final = frozenset("--null --no-run-if-empty --verbose --interactive --exit --open-tty".split())


def xargs(reader: "Reader", call: Call) -> Carried | None:
    """`… | xargs command`: what is piped in becomes words."""
    args = list(call.args)
    place, at, source, sure = "", 0, call.stdin, True
    nul = False
    delimiter = ""
    while at < len(args):
        arg = args[at]
        if arg in {"-I", "-J", "-R", "-S"} or arg == "--replace-str":
            place = args[at + 1] if at + 1 < len(args) and arg in {"-I", "-J"} else place
            at += 2
        elif arg.startswith(("-I", "-J")):
            place, at = arg[2:], at + 1
        elif arg in {"-i", "--replace"} or arg.startswith(("-i", "--replace=")):
            place, at = (
                (arg.partition("=")[2] if "=" in arg else arg[2:] if not arg.startswith("--") else "") or "{}",
                at + 1,
            )
        elif arg in {"-a", "--arg-file"}:
            source, at = reader.content(args[at + 1]) if at + 1 < len(args) else UNKNOWN, at + 2
        elif arg.startswith(("--arg-file=", "-a")):
            source, at = reader.content(arg.removeprefix("--arg-file=").removeprefix("-a")), at + 1
        elif arg in {"-d", "--delimiter"}:
            delimiter, at = (args[at + 1] if at + 1 < len(args) else ""), at + 2
        elif arg in {"-n", "-L", "-P", "-s", "-E", "--max-args", "--max-procs", "--max-lines", "--max-chars"}:
            at += 2
        elif arg == "--":
            at += 1
            break
        elif arg.startswith("-") and len(arg) > 1:
            sure = sure and (arg in _XARGS or re.fullmatch(r"-[0rtpxonLPsEdI]+\d*", arg) is not None)
            nul = nul or arg == "--null" or (arg[1] != "-" and "0" in arg)
            if re.fullmatch(r"-[0prtxo]+[nLPsEdI]", arg):
                place = args[at + 1] if arg[-1] == "I" and at + 1 < len(args) else place
                at += 1
            at += 1
        else:
            break
    words = args[at:] or ["echo"]
    items = _items(source, nul=nul, delimiter=delimiter)
    if place:
        text = items[0] if len(items) == 1 else " ".join(items)
        words = [word.replace(place, text) for word in words]
    else:
        words = [*words, *items]
    return Carried(reader.nested(call, words, "xargs", stdin=""), harmless=sure)


def _items(source: str | None, *, nul: bool = False, delimiter: str = "") -> list[str]:
    if source is None:
        return [ITEM]
    if marked(source):
        return [ITEM + tags(source).replace(UNKNOWN, "").replace(ITEM, "")]
    if nul:
        return [item for item in source.split("\0") if item][:32]
    if delimiter:
        from defender.commands.words import unescape

        return [item for item in source.split(unescape(delimiter)) if item][:32]
    return [item.strip("'\"") for item in source.split()][:32]


def parallel(reader: "Reader", call: Call) -> Carried | None:
    """GNU parallel: `parallel command ::: words`, or words from the input; the command goes through a shell."""
    args = list(call.args)
    marks = [at for at, arg in enumerate(args) if re.fullmatch(r":::[:+]*", arg)]
    head, items = (
        (args[: marks[0]], [arg for arg in args[marks[0] :] if not arg.startswith(":::")]) if marks else (args, [])
    )
    place, at = "{}", 0
    while at < len(head) and head[at].startswith("-"):
        arg = head[at]
        if arg == "-I":
            place, at = (head[at + 1] if at + 1 < len(head) else place), at + 2
        elif arg in {
            "-j",
            "-S",
            "-a",
            "-n",
            "-N",
            "-P",
            "-L",
            "--jobs",
            "--sshlogin",
            "--results",
            "--joblog",
            "--delay",
            "-d",
            "--tmpdir",
            "--workdir",
            "--wd",
            "--colsep",
            "-C",
            "--timeout",
            "--retries",
        }:
            if arg == "-a" and at + 1 < len(head):
                items = _items(reader.content(head[at + 1]))
            at += 2
        else:
            at += 1
    words = head[at:]
    if not items:
        items = _items(call.stdin)
    if not words:
        for item in items[:8]:
            reader.read(item, "parallel")
        return Carried(UNKNOWN)
    holder = re.compile(r"\{(?:[./#%]*|\d+[./]*)\}")
    if place != "{}":
        holder = re.compile(re.escape(place))
    held = any(holder.search(word) for word in words)
    for item in items[:8]:
        put = [holder.sub(lambda _, item=item: item, word) for word in words] if held else [*words, item]  # type: ignore[misc]
        if len(words) == 1:
            reader.read(" ".join(put), "parallel")
        else:
            reader.nested(call, put, "parallel", stdin="")
    return Carried(UNKNOWN, harmless=not any(arg.startswith(("-S", "--sshlogin")) for arg in head))


def loader(name: str) -> bool:
    """Whether a program is the dynamic loader, which starts what is named behind it."""
    return _LOADERS.fullmatch(name) is not None


CARRIERS: Final[dict[str, Carrier]] = {
    **{name: plain(wrapper) for name, wrapper in WRAPPERS.items()},
    "env": env,
    "command": command,
    "busybox": applet,
    "toybox": applet,
    "su": su,
    "runuser": su,
    "sg": with_text("-c"),
    "newgrp": with_text("-c"),
    "script": script,
    "flock": flock,
    "xargs": xargs,
    "gxargs": xargs,
    "parallel": parallel,
    "nix-shell": with_text("--run", "--command"),
    "nix": with_text("-c", "--command"),
    "perf": plain(Wrapper("oeF", (), 1)),
    "direnv": plain(Wrapper("", (), 2)),
}

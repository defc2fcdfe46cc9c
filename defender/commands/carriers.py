"""Programs that run a command as a part of what they do: `find -exec`, `git -c`, `tar --checkpoint-action`, editors."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from defender.commands import interpreters, wrappers
from defender.commands.calls import Call, flags, operands, option
from defender.commands.marks import ITEM, NETWORK, UNKNOWN
from defender.commands.wrappers import Carried, Carrier, skip

if TYPE_CHECKING:
    from defender.commands.reader import Reader

_EXECS: Final = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
GIT_RUNS: Final = re.compile(
    r"(core\.(pager|editor|sshcommand|fsmonitor|askpass|gitproxy|hookspath)|alias\..+|diff\.external|diff\..+\.(command|textconv)|merge\..+\.driver"
    r"|credential(\..+)?\.helper|gpg(\..+)?\.program|sequence\.editor|pager\..+|filter\..+\.(clean|smudge|process)|difftool\..+\.cmd|mergetool\..+\.cmd"
    r"|man\..+\.cmd|browser\..+\.cmd|web\.browser|uploadpack\.packobjectshook|remote\..+\.(uploadpack|receivepack)|interactive\.difffilter|submodule\..+\.update|protocol\.ext\.allow|trailer\..+\.command|init\.templatedir)$",
    re.IGNORECASE,
)
"""Settings of git that name a command."""
_GIT_VALUES: Final = frozenset(
    "-c -C --git-dir --work-tree --namespace --exec-path --config-env --super-prefix --attr-source".split()
)


def find(reader: "Reader", call: Call) -> Carried | None:
    """Read each command of `-exec`; the item stands below the first folder that is searched."""
    args = list(call.args)
    starts = []
    for arg in args:
        if arg.startswith(("-", "(", "!", "\\")) and arg not in {"-H", "-L", "-P"}:
            break
        if not arg.startswith("-"):
            starts.append(arg)
    item = f"{starts[0].rstrip('/')}/{ITEM}" if starts else f"./{ITEM}"
    harmless = True
    at = 0
    while at < len(args):
        arg = args[at]
        if arg in _EXECS:
            end = at + 1
            while end < len(args) and args[end] not in {";", "\\;", "+"}:
                end += 1
            words = [word.replace("{}", item) for word in args[at + 1 : end]]
            reader.nested(call, words, f"find {arg}", stdin="")
            at = end
        elif arg in {"-delete", "-fprint", "-fprintf", "-fls", "-fprint0"}:
            harmless = False
        at += 1
    del harmless
    return None


def ssh(reader: "Reader", call: Call) -> Carried | None:
    """Read the command for the other machine, and those of `-o ProxyCommand=`."""
    args = list(call.args)
    for at, arg in enumerate(args):
        value = args[at + 1] if arg == "-o" and at + 1 < len(args) else arg[2:] if arg.startswith("-o") else ""
        found = re.match(
            r"\s*(ProxyCommand|LocalCommand|KnownHostsCommand|RemoteCommand)[=\s]+(.*)",
            value,
            re.IGNORECASE | re.DOTALL,
        )
        if found:
            reader.read(found[2], f"{call.name} {found[1]}")
    at = skip(args, "BbcDEeFIiJLlmOoPpQRSWw")
    rest = args[at + 1 :]
    if rest and rest[0] == "--":
        rest = rest[1:]
    if rest and call.name in {"ssh", "autossh", "mosh"}:
        reader.read(" ".join(rest), "ssh")
    elif call.name == "ssh" and call.stdin:
        reader.read(call.stdin, "… | ssh")
    return Carried(NETWORK)


def container(reader: "Reader", call: Call) -> Carried | None:
    """Read the command that runs inside of a container."""
    args = list(call.args)
    verbs = [at for at, arg in enumerate(args[:6]) if arg in {"run", "exec"}]
    if not verbs:
        return None
    at = verbs[0] + 1
    rest = args[at:]
    entry = option(rest, "--entrypoint")
    cut = skip(
        rest,
        "vepuwlhmac" if args[at - 1] == "run" else "euwnc",
        (
            "--volume",
            "--env",
            "--publish",
            "--user",
            "--workdir",
            "--name",
            "--network",
            "--net",
            "--entrypoint",
            "--mount",
            "--label",
            "--hostname",
            "--memory",
            "--cpus",
            "--add-host",
            "--device",
            "--pid",
            "--ipc",
            "--cap-add",
            "--security-opt",
            "--restart",
            "--env-file",
            "--volumes-from",
            "--platform",
            "--pull",
            "--gpus",
            "--shm-size",
            "--ulimit",
            "--dns",
            "--link",
            "--ip",
            "--log-driver",
            "--userns",
            "--namespace",
            "--container",
            "--image",
        ),
    )
    words = rest[cut + 1 :]
    if words[:1] == ["--"]:
        words = words[1:]
    if entry:
        words = [entry, *words]
    if words:
        reader.nested(call, words, f"{call.name} {args[at - 1]}", stdin=call.stdin or "")
    return Carried(UNKNOWN)


def git(reader: "Reader", call: Call) -> Carried | None:
    """Read the commands in `-c key=value`, `config key value`, `--upload-pack`, `bisect run`, `rebase --exec`."""
    args = list(call.args)
    at = 0
    while at < len(args) and args[at].startswith("-"):
        arg = args[at]
        if arg == "-c" and at + 1 < len(args):
            key, _, value = args[at + 1].partition("=")
            _setting(reader, call, key, value)
        elif arg.startswith("-c") and "=" in arg:
            key, _, value = arg[2:].partition("=")
            _setting(reader, call, key, value)
        elif arg.startswith("--exec-path="):
            reader.unresolved(arg, "command.git-exec-path", "Git would run programs of another folder.", 0.72)
        at += 2 if arg in _GIT_VALUES else 1
    verb, rest = (args[at], args[at + 1 :]) if at < len(args) else ("", [])
    if verb == "config":
        words = operands([word for word in rest if word not in {"set", "--global", "--local", "--system", "--add"}])
        if len(words) >= 2:
            _setting(reader, call, words[0], words[1])
    for name in (
        "--upload-pack",
        "-u",
        "--exec",
        "-x",
        "--receive-pack",
        "--tree-filter",
        "--index-filter",
        "--msg-filter",
        "--env-filter",
        "--commit-filter",
        "--extcmd",
        "--open-files-in-pager",
        "-O",
    ):
        if (name == "-u" and verb not in {"fetch", "clone", "ls-remote", "fetch-pack"}) or (
            name == "-x" and verb != "rebase"
        ):
            continue
        if name in {"-O", "--open-files-in-pager"} and verb != "grep":
            continue
        text = option(rest, name)
        if text:
            reader.read(text, f"git {name}")
    if verb == "bisect" and rest[:1] == ["run"]:
        reader.nested(call, rest[1:], "git bisect run")
    if verb == "submodule" and rest[:1] == ["foreach"]:
        reader.read(" ".join(word for word in rest[1:] if not word.startswith("--")), "git submodule foreach")
    for word in rest:
        if word.startswith("ext::"):
            reader.read(word[5:].replace("% ", " ").replace("%S", ""), "git ext::")
            reader.unresolved(word, "command.git-ext", "An address of the kind ext:: runs a command.", 0.78)
    return None


def _setting(reader: "Reader", call: Call, key: str, value: str) -> None:
    if not GIT_RUNS.match(key):
        return
    reader.unresolved(
        f"{key}={value}", "command.git-setting", "This setting of git names a command that git will run.", 0.72
    )
    if key.lower().startswith("alias.") and not value.startswith("!"):
        reader.nested(call, ["git", *value.split()], "git alias")
        return
    reader.read(value.removeprefix("!"), f"git {key}")


def tar(reader: "Reader", call: Call) -> Carried | None:
    """Read the commands that tar runs: at checkpoints, for each file, to compress."""
    for arg in call.args:
        if arg.startswith("--checkpoint-action=exec="):
            text = arg.split("=", 2)[2]
            reader.block("command.tar-checkpoint", "Tar would run a command at a checkpoint.", arg)
            reader.read(text, "tar checkpoint")
    for name in (
        "--to-command",
        "--use-compress-program",
        "-I",
        "--rsh-command",
        "--info-script",
        "--new-volume-script",
        "-F",
    ):
        told = option(call.args, name)
        if told:
            if name == "-F" and not told.startswith("/"):
                continue
            reader.read(told, f"tar {name}")
            if name not in {"-I", "--use-compress-program"}:
                reader.unresolved(told, "command.tar-runs", "Tar would run a command.", 0.74)
    for at, arg in enumerate(call.args[:-1]):
        if arg == "--checkpoint-action" and call.args[at + 1].startswith("exec="):
            reader.block("command.tar-checkpoint", "Tar would run a command at a checkpoint.", arg)
            reader.read(call.args[at + 1][5:], "tar checkpoint")
    return None


def editor(reader: "Reader", call: Call) -> Carried | None:
    """Read what an editor or a pager is told to run by `!`."""
    texts = [arg for arg in call.args if "!" in arg or "system(" in arg]
    if call.stdin:
        texts.append(call.stdin)
    for text in texts:
        for line in text.split("\n"):
            found = re.match(r"[-+]?[ec+]?\s*:?\s*(?:sil\w*!?\s+)?(?:r|w|read|write|e|%|\.|1,\$|\d+)?\s*!(.+)", line)
            if found:
                reader.read(found[1], f"{call.name} !")
                reader.unresolved(line, "command.editor-escape", "The editor would run a command.", 0.72)
            for inner in re.findall(r"system\(['\"]([^'\"]+)", line):
                reader.read(inner, f"{call.name} system()")
    return None


def pager(reader: "Reader", call: Call) -> Carried | None:
    """`man -P TEXT`: the pager is a command."""
    text = option(call.args, "-P", "--pager", "-H", "--html")
    if text:
        reader.read(text, f"{call.name} -P")
        return Carried(UNKNOWN)
    return None


def runs(values: Sequence[str]) -> Carrier:
    """Return the carrier of a program whose options name a command for a shell."""

    def carry(reader: "Reader", call: Call) -> Carried | None:
        for name in values:
            text = option(call.args, name)
            if text:
                reader.read(text, f"{call.name} {name}")
                reader.unresolved(text, "command.option-runs", "An option names a command that would run.", 0.7)
        return None

    return carry


def package(reader: "Reader", call: Call) -> Carried | None:
    """`npm exec -c TEXT`, `npx command`, `uv run command`, `poetry run command`."""
    args = list(call.args)
    text = option(args, "-c", "--call")
    verb = next((arg for arg in args if not arg.startswith("-")), "")
    if text and call.name in {"npm", "npx", "pnpm", "yarn"} and (call.name == "npx" or verb in {"exec", "x"}):
        reader.read(text, f"{call.name} -c")
    elif verb in {"run", "exec", "x", "dlx"} and call.name in {
        "uv",
        "poetry",
        "pipenv",
        "bundle",
        "pdm",
        "hatch",
        "rye",
        "conda",
        "mamba",
        "mise",
        "asdf",
        "pixi",
        "devbox",
    }:
        rest = args[args.index(verb) + 1 :]
        at = skip(rest, "pn", ("--with", "--python", "-n", "--name", "--prefix"))
        reader.nested(call, rest[at:], f"{call.name} {verb}")
    return None


def at_job(reader: "Reader", call: Call) -> Carried | None:
    """`echo TEXT | at now`: a command for later."""
    if call.stdin:
        reader.read(call.stdin, f"… | {call.name}")
    return None


def crontab(reader: "Reader", call: Call) -> Carried | None:
    """Read the commands of the lines that are installed."""
    names = operands(call.args)
    text = call.stdin if (not names or names == ["-"]) else reader.content(names[0])
    if text and "l" not in flags(call.args):
        for line in text.split("\n")[:20]:
            found = re.match(r"\s*(?:@\w+|(?:\S+\s+){5})(.+)", line)
            if found:
                reader.read(found[1], "crontab")
    return None


def tmux(reader: "Reader", call: Call) -> Carried | None:
    """`tmux new-session -d TEXT`, `send-keys TEXT Enter`, `run-shell TEXT`."""
    for arg in call.args:
        if " " in arg:
            reader.read(arg, "tmux")
    return None


def batch(reader: "Reader", call: Call) -> Carried | None:
    r"""`gdb -ex 'shell …'`, `sqlite3 db '.shell …'`, `psql -c '\\! …'`, `mysql -e 'system …'`."""
    for arg in [*call.args, call.stdin or ""]:
        found = re.search(r"(?:^|\n|;)\s*(?:\.(?:shell|system)|shell|system|\\!|!)\s+(.+)", arg)
        if found:
            reader.read(found[1], f"{call.name} shell")
            reader.unresolved(arg, "command.client-escape", "The client would run a command.", 0.72)
    return None


CARRIERS: Final[dict[str, Carrier]] = {
    **wrappers.CARRIERS,
    **dict.fromkeys(interpreters.SHELLS, interpreters.shell),
    **dict.fromkeys(interpreters.LANGUAGES, interpreters.language),
    "eval": interpreters.evaluate,
    "source": interpreters.source,
    ".": interpreters.source,
    "trap": interpreters.trap,
    "alias": interpreters.alias,
    "find": find,
    "gfind": find,
    "fd": runs(("-x", "--exec", "-X", "--exec-batch")),
    "ssh": ssh,
    "autossh": ssh,
    "scp": ssh,
    "sftp": ssh,
    "mosh": ssh,
    **dict.fromkeys("docker podman nerdctl kubectl oc lxc ctr crictl buildah docker-compose".split(), container),
    "git": git,
    "tar": tar,
    "gtar": tar,
    "bsdtar": tar,
    **dict.fromkeys("vim vi nvim ex view ed emacs nano less more most rvim vimdiff gvim".split(), editor),
    "man": pager,
    "rsync": runs(("-e", "--rsh", "--rsync-path")),
    "zip": runs(("-TT", "--unzip-command")),
    "split": runs(("--filter",)),
    "sort": runs(("--compress-program",)),
    "nmap": runs(("--script",)),
    "tcpdump": runs(("-z",)),
    "ncat": runs(("--sh-exec", "-c", "--exec", "-e")),
    "npm": package,
    **dict.fromkeys(
        "npx pnpm yarn uv poetry pipenv bundle pdm hatch rye conda mamba mise asdf pixi devbox".split(), package
    ),
    **dict.fromkeys(("at", "batch"), at_job),
    "crontab": crontab,
    "tmux": tmux,
    **dict.fromkeys("gdb sqlite3 psql mysql mariadb ftp lftp dc bc".split(), batch),
}
CARRIERS["gdb"] = batch

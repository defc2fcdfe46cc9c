"""What a command would touch: its effect, the hosts and addresses it names, the paths it reads and writes."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from defender.commands.calls import Call, operands, option
from defender.commands.constants import NETWORKED
from defender.commands.families import index
from defender.commands.marks import marked
from defender.commands.places import HARMLESS, STARTS, SYSTEM, URL
from defender.commands.scope import Scope
from defender.findings import Signal
from runtime.vocab import Decision

MOST: Final = 32
"""Names of each kind that are kept."""
_ROOT: Final = frozenset(
    "sudo doas pkexec su runuser chroot nsenter systemctl service launchctl useradd usermod userdel adduser deluser passwd chpasswd visudo"
    " mount umount insmod modprobe rmmod iptables nft ufw sysctl setcap chattr crontab at batch mkfs fdisk parted shutdown reboot halt poweroff"
    " apt apt-get yum dnf pacman zypper apk brew snap dpkg rpm docker podman kubectl kill killall pkill setenforce auditctl chown".split()
)
_AWAY: Final = NETWORKED | frozenset(
    "getent resolvectl gpg ssh-keyscan ntpdate showmount smbclient rpcinfo finger xdg-open open"
    " git npm pnpm yarn npx pip pip3 pipx gem cargo go ping ping6 traceroute mail mailx sendmail mutt aws gcloud az gh glab hub psql mysql mosh"
    " autossh redis-cli mongo mongosh kubectl helm terraform docker podman apt apt-get yum dnf brew snap pacman apk zypper nmap twine uv"
    " oc conda mamba micromamba poetry pipx yay paru nerdctl crictl".split()
)
_GIT_AWAY: Final = re.compile(
    r"\b(push|pull|fetch|clone|ls-remote|remote (add|set-url|update)|submodule|send-email|archive .*--remote)\b"
)
_SCRIPTS: Final = re.compile(
    r"(?:npm|pnpm|yarn)(?: (?:-s|--silent))? (?:test|t|tst|start|run|run-script|(?:test|build|lint|format|typecheck)(?::[\w:-]+)?)(?: .*)?|"
    r"cargo (?:test|t|check|c|build|b|clippy|fmt|doc|bench)(?: .*)?|go (?:test|build|vet|fmt|list|version|env)(?: .*)?|"
    r"(?:npm|pnpm|yarn|npx|cargo|go|pip3?|gem|uv) (?:--version|-v|-V|version)"
)
"""What of a package manager runs code of the folder, as make and pytest do, and asks no registry by itself."""
_WRITES: Final = frozenset(
    "rm rmdir unlink mv cp touch mkdir tee truncate dd ln install chmod chown shred sed patch tar unzip rsync"
    " split csplit zip 7z 7za 7zr 7zz rename prename dos2unix unix2dos mac2unix mkfifo".split()
)


_TEXTUAL: Final = frozenset("echo printf grep egrep rg cat cut sort test [".split())
"""Programs in whose arguments an address is a text."""
_CODE: Final = re.compile(
    r"\b(?:urllib|urlopen|requests\.|httpx|aiohttp|http\.client|httplib|socket|Socket|Net::|LWP|open-uri|fetch\(|net/http|"
    r"XMLHttpRequest|axios|https?\.(?:get|request)|fsockopen|curl_|TcpClient|WebClient|"
    r"Invoke-(?:WebRequest|RestMethod))|/(?:inet|dev)/(?:tcp|udp)"
)
"""Code that connects to somewhere, in the words of a command."""


def of(
    text: str, calls: Sequence[Call], signals: Iterable[Signal]
) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the effect, the hosts, the addresses, the paths that are read and those that are written."""
    scope = Scope()
    urls = list(dict.fromkeys(URL.findall(text) + [url for call in calls for url in URL.findall(call.line)]))[:MOST]
    hosts = [host for url in urls if (host := _host(url))]
    reads: list[str] = []
    writes: list[str] = []
    away = root = local = False
    for call in calls:
        name = call.name
        if name in _AWAY and not _SCRIPTS.fullmatch(call.line) and (name != "git" or _GIT_AWAY.search(call.line)):
            away = True
            hosts += _named(call) or ([] if URL.search(call.line) else [""])
        root = root or (name in _ROOT and call.decision is not Decision.ALLOW)
        if call.decision is not Decision.ALLOW and name != "git" and name not in _WRITES | _TEXTUAL:
            away = away or bool(URL.search(call.line)) or _CODE.search(call.line) is not None
        for move in call.redirects:
            socket = re.match(r"/dev/(?:tcp|udp)/([^/]+)/", move.target)
            if socket:
                away = True
                hosts.append(socket[1])
            elif move.writes and move.target not in HARMLESS:
                writes.append(scope.path(move.target))
            elif not move.writes and move.sign.startswith("<"):
                reads.append(scope.path(move.target))
        made = name in _WRITES or any(family.makes for family in index().get(name, ()))
        target = option(call.args, "-o", "--output") if name == "sort" else None
        if target:
            writes.append(scope.path(target))
        local = local or call.decision is not Decision.ALLOW or made
        for word in operands(call.args):
            if ("/" in word or "." in word) and "://" not in word and not marked(word[:1]) and len(word) < 300:
                (writes if made else reads).append(scope.path(word))
    root = root or any(SYSTEM.match(path) or STARTS.search(path) for path in writes)
    local = local or bool(writes)
    effect = "privileged" if root else "egress" if away else "local" if local else "none"
    return effect, *(tuple(dict.fromkeys(items))[:MOST] for items in (hosts, urls, reads, writes))  # type: ignore[return-value]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _named(call: Call) -> list[str]:
    """The hosts that a program names without an address."""
    words = operands(call.args)
    name = call.name
    if name in {
        "ssh",
        "autossh",
        "mosh",
        "telnet",
        "ftp",
        "sftp",
        "nc",
        "ncat",
        "netcat",
        "ping",
        "ping6",
        "traceroute",
        "dig",
        "nslookup",
        "host",
        "whois",
    }:
        skipped = {
            value
            for sign in ("-i", "-p", "-l", "-o", "-F", "-L", "-R", "-D", "-c", "-w", "-t")
            if (value := option(call.args, sign))
        }
        return [
            word.rpartition("@")[2].rstrip(":")
            for word in words
            if word not in skipped and re.search(r"[A-Za-z.]", word)
        ][:1]
    if name in {"scp", "rsync"}:
        return [word.partition(":")[0].rpartition("@")[2] for word in words if ":" in word and "://" not in word]
    if name in {"curl", "wget"}:
        return [word.partition("/")[0] for word in words if re.match(r"[\w-]+(\.[\w-]+)+(/|$|:)", word)][:4]
    return []

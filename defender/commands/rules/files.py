"""Rules about files and disks: what is lost for good, what says who may do what, what starts by itself."""

import re
from typing import TYPE_CHECKING, Final

from defender.commands.calls import flags, operands, option
from defender.commands.marks import ITEM, holed, without
from defender.commands.places import ACCOUNTS, DISKS, LOGS, SECRETS, STARTS, SYSTEM, TEMPORARY, WHOLE
from defender.commands.rules import BLOCK, REVIEW, Rule
from defender.commands.scope import FOLDER

if TYPE_CHECKING:
    from defender.commands.calls import Call
    from defender.commands.scope import Scope

_LOST: Final = frozenset("rm shred unlink srm wipe truncate dd rmdir mv chmod chown".split())
_NARROW: Final = frozenset(
    "-name -iname -path -ipath -regex -iregex -newer -newermt -empty -samefile -inum -wholename".split()
)


def _recursive(call: "Call") -> bool:
    letters = flags(call.args)
    return any(letter in letters for letter in "rR") or any(
        len(arg) > 4 and "--recursive".startswith(arg) for arg in call.args if arg.startswith("--r")
    )


def _paths(call: "Call", scope: "Scope") -> list[str]:
    return [scope.path(word) for word in operands(call.args)]


def _whole(path: str) -> bool:
    plain = without(path).rstrip("/") or "/"
    if ITEM in path and path.rstrip("/").endswith(ITEM):
        plain = plain.rstrip("/") or "/"
    return WHOLE.fullmatch(plain) is not None


def removes_whole(call: "Call", scope: "Scope") -> bool:
    """Whether a recursive removal hits the whole disk, a home, or a folder of the system."""
    if not _recursive(call) and "*" not in call.line:
        return False
    for word in operands(call.args):
        if holed(word) and not without(word).strip("/*"):
            continue
        path = scope.path(word)
        if path.startswith("/tmp") or ITEM in path and not path.startswith(("/" + ITEM, "/home")):
            continue
        if _whole(path):
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


def _removes_elsewhere(call: "Call", scope: "Scope") -> bool:
    if not _recursive(call) or not ("f" in flags(call.args) or "--force" in call.args):
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
    return _recursive(call) and any(
        word.rstrip("/") in {".", "..", "*", "./*", "../*", ".*", "./", "../..", "$PWD"}
        or (without(word) in {"", "/", "/*"} and holed(word))
        for word in operands(call.args)
    )


def removes_system(call: "Call", scope: "Scope") -> bool:
    """Whether a removal hits files of the system."""
    return any(SYSTEM.match(path) for path in _paths(call, scope))


def _hits(pattern: re.Pattern[str]) -> object:
    def test(call: "Call", scope: "Scope") -> bool:
        return any(pattern.search(scope.path(word)) for word in call.args if "/" in word or word[:1] in ".~")

    return test


def _last_hits(pattern: re.Pattern[str]) -> object:
    def test(call: "Call", scope: "Scope") -> bool:
        words = operands(call.args)
        target = option(call.args, "-t", "--target-directory") or (words[-1] if words else "")
        return bool(target) and pattern.search(scope.path(target)) is not None

    return test


def _find_destroys(call: "Call", scope: "Scope") -> bool:
    args = list(call.args)
    starts = [
        arg for arg in args[: next((at for at, arg in enumerate(args) if arg.startswith(("-", "(", "!"))), len(args))]
    ]
    if not any(_whole(scope.path(start)) for start in starts):
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


def _find_changes(call: "Call", scope: "Scope") -> bool:
    args = list(call.args)
    return "-delete" in args or any(
        arg in {"-exec", "-execdir", "-ok"} and at + 1 < len(args) and args[at + 1].rsplit("/", 1)[-1] in _LOST
        for at, arg in enumerate(args)
    )


def _find_secret(call: "Call", scope: "Scope") -> bool:
    line = call.line
    return bool(
        re.search(
            r"id_[rd]sa|\.pem\b|\.key\b|\.kdbx|\.ppk|\.pfx|\.p12|htpasswd|passw(or)?d|shadow|credential|secret|token|history|\.aws|\.oci\b|\.azure|\.ssh|\.gnupg|\.netrc|\.rhosts|authorized_keys|"
            r"wallet|\.env\b|keychain|places\.sqlite|[Cc]ookies|Login Data|logins\.json|\.kube|kubeconfig|accessTokens|[Bb]ookmarks|[Cc]hromium|google-chrome|Google/Chrome|\.plan\b|\.rc\b|config\.php|\.fetchmailrc|\.pgpass",
            line,
        )
    )


def _wipes_owner(call: "Call", scope: "Scope") -> bool:
    return _recursive(call) and any(
        _whole(path) and not re.match(r"/(var|usr|opt|srv|mnt)/\w|/(opt|srv|mnt)/?$", path)
        for path in _paths(call, scope)[1:]
    )


def _moves_whole(call: "Call", scope: "Scope") -> bool:
    words = operands(call.args)
    return len(words) > 1 and any(_whole(scope.path(word)) for word in words[:-1])


def _links_secret(call: "Call", scope: "Scope") -> bool:
    words = operands(call.args)
    return bool(words) and "s" in flags(call.args) and SECRETS.search(scope.path(words[0])) is not None


def _cleared(call: "Call", scope: "Scope") -> bool:
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


def _open_mode(call: "Call", scope: "Scope") -> bool:
    words = operands(call.args)
    return bool(words) and re.fullmatch(r"0?[0-7]?777|(a|o|go|ugo)?\+r?w[xX]?|a=rwx", words[0]) is not None


def _set_id(call: "Call", scope: "Scope") -> bool:
    return any(
        re.fullmatch(r"0?[2467][0-7]{3}|[ugoa]*[+=][rwx]*s[rwxst]*", word)
        and word[:1] != "0"
        or re.fullmatch(r"0[2467][0-7]{3}", word)
        for word in operands(call.args)[:1]
    )


def _copies_shell(call: "Call", scope: "Scope") -> bool:
    words = operands(call.args)
    return len(words) > 1 and re.search(r"/bin/(ba|z|da|k)?sh$", words[0]) is not None


RULES: Final = (
    Rule(
        "command.rm-whole",
        "rm unlink srm del rmdir shred trash wipe",
        BLOCK,
        0.99,
        "Removes the whole disk, a home folder or a folder of the system.",
        "rm -rf /",
        "rm -rf build/",
        test=removes_whole,
    ),
    Rule(
        "command.rm-no-root-guard",
        "rm chmod chown chgrp",
        BLOCK,
        0.98,
        "The guard of the root folder is switched off.",
        "rm -rf --no-preserve-root x",
        "rm -rf x",
        pattern=r"--no-preserve-root",
    ),
    Rule(
        "command.rm-log",
        "rm shred unlink srm truncate",
        REVIEW,
        0.77,
        "Removes the record of what happened.",
        "rm -f /var/log/auth.log",
        "rm -f notes.log",
        test=_hits(LOGS),
    ),
    Rule(
        "command.rm-device",
        "rm mv cp dd tee shred wipe",
        BLOCK,
        0.98,
        "Writes over a disk or a device.",
        "shred /dev/sda",
        "shred notes.txt",
        test=_hits(DISKS),
        pattern=r"^(?!dd )(?!cp /dev/|tee -a /dev/null)",
    ),
    Rule(
        "command.rm-system",
        "rm unlink shred srm",
        REVIEW,
        0.74,
        "Removes files of the system.",
        "rm /etc/fstab",
        "rm notes.txt",
        test=removes_system,
    ),
    Rule(
        "command.rm-here",
        "rm",
        REVIEW,
        0.79,
        "Removes everything in this folder or above it.",
        "rm -rf ..",
        "rm -rf build",
        test=removes_here,
    ),
    Rule(
        "command.rm-force",
        "rm",
        REVIEW,
        0.58,
        "Removes whole folders.",
        "rm -r build",
        "rm notes.txt",
        test=lambda call, _: _recursive(call),
    ),
    Rule(
        "command.rm-unasked",
        "rm",
        REVIEW,
        0.66,
        "Removes whole folders and asks nothing.",
        "rm -rf build",
        "rm -r build",
        test=lambda call, _: _recursive(call) and ("f" in flags(call.args) or "--force" in call.args),
    ),
    Rule(
        "command.rm-elsewhere",
        "rm",
        REVIEW,
        0.73,
        "Removes whole folders outside of the folder of the work.",
        "rm -rf /srv/data",
        "rm -rf build",
        test=_removes_elsewhere,
    ),
    Rule(
        "command.shred",
        "shred srm wipe wipefs scrub nwipe",
        REVIEW,
        0.66,
        "What is removed like this cannot be brought back.",
        "shred -u notes.txt",
        "wc notes.txt",
    ),
    Rule(
        "command.disk-write",
        "dd dcfldd dc3dd",
        BLOCK,
        0.98,
        "Writes over a disk.",
        "dd if=/dev/zero of=/dev/sda",
        "dd if=a of=b",
        pattern=r"\bof=/dev/(sd|hd|vd|xvd|nvme|mmcblk|r?disk|mapper|dm-|md|mem|kmem)",
    ),
    Rule(
        "command.disk-read",
        "dd dcfldd",
        REVIEW,
        0.74,
        "Reads a disk or memory raw.",
        "dd if=/dev/sda of=x.img",
        "dd if=a of=b",
        pattern=r"\bif=/dev/(sd|hd|vd|nvme|mem|kmem|fmem|dm-|mapper)",
    ),
    Rule(
        "command.disk-format",
        "mkfs mke2fs mkswap mkntfs newfs wipefs sgdisk blkdiscard format diskutil parted fdisk sfdisk cfdisk hdparm nvme cryptsetup lvremove vgremove pvremove zpool mdadm dmsetup",
        BLOCK,
        0.97,
        "Makes a disk empty.",
        "mkfs.ext4 /dev/sda1",
        "fdisk -l",
        pattern=r"^(mkfs\S*|mke2fs|mkswap|mkntfs|newfs|blkdiscard) .*/dev/|^wipefs .*(-a|--all)|^sgdisk .*(-Z|--zap|-o )|^diskutil .*(erase|zero|secureErase)|^parted .*\b(mklabel|rm)\b|^hdparm .*--security-erase|^nvme (format|sanitize)|^cryptsetup .*(luksFormat|erase|luksErase)|^(lvremove|vgremove|pvremove) .*(-f|-y|--force)|^zpool destroy|^mdadm .*--zero-superblock",
    ),
    Rule(
        "command.disk-format",
        "mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mkfs.exfat mkfs.f2fs",
        BLOCK,
        0.97,
        "Makes a disk empty.",
        "mkfs.xfs /dev/sdb",
        "lsblk",
        pattern=r"/dev/",
    ),
    Rule(
        "command.account-file-cleared",
        "truncate cp mv install tee dd ln",
        BLOCK,
        0.95,
        "Makes a file of the system empty.",
        "cp /dev/null /etc/passwd",
        "cp /dev/null notes.txt",
        test=_cleared,
    ),
    Rule(
        "command.account-file-truncated",
        "truncate",
        BLOCK,
        0.95,
        "Makes a file of the system empty.",
        "truncate -s0 /etc/hosts",
        "truncate -s0 notes.txt",
        test=_hits(re.compile(f"{ACCOUNTS.pattern}|^/(boot|usr|bin|sbin|lib)/")),
    ),
    Rule(
        "command.account-file-changed",
        "tee cp mv install ln ed ex vi vim nano",
        BLOCK,
        0.93,
        "Changes a file that says who may do what.",
        "cp users /etc/sudoers",
        "cp a b",
        test=_last_hits(
            re.compile(
                r"^/etc/(passwd|g?shadow|sudoers|group|pam\.d/|ssh/sshd_config|doas\.conf|ld\.so\.preload|security/)"
            )
        ),
        pattern=r"^(?!vi |vim |nano |ed |ex )",
    ),
    Rule(
        "command.account-file-edited",
        "sed perl ed ex vi vim nano awk",
        REVIEW,
        0.78,
        "Changes a file that says who may do what.",
        "sed -i s/a/b/ /etc/passwd",
        "sed s/a/b/ /etc/passwd",
        test=_hits(ACCOUNTS),
        pattern=r"^(sed|perl) .*-\w*i|^(ed|ex|vi|vim|nano) ",
    ),
    Rule(
        "command.starts-later",
        "tee cp mv install ln ditto rsync",
        REVIEW,
        0.79,
        "Puts a file where it starts by itself.",
        "cp x /etc/cron.d/x",
        "cp x y",
        test=_last_hits(STARTS),
    ),
    Rule(
        "command.hook-made",
        "chmod",
        BLOCK,
        0.9,
        "Makes a hook of git run.",
        "chmod +x .git/hooks/pre-commit",
        "chmod +x run.sh",
        test=_hits(re.compile(r"/\.git/hooks/")),
    ),
    Rule(
        "command.starts-edited",
        "sed perl ed chmod touch",
        REVIEW,
        0.75,
        "Changes a file that starts by itself.",
        "sed -i s/a/b/ /etc/rc.local",
        "sed s/a/b/ notes",
        test=_hits(STARTS),
        pattern=r"^(sed|perl) .*-\w*i|^(ed|chmod|touch) ",
    ),
    Rule(
        "command.keys-written",
        "tee cp mv install ssh-copy-id",
        BLOCK,
        0.95,
        "Lets somebody in by a key.",
        "tee -a ~/.ssh/authorized_keys",
        "tee -a notes",
        test=_hits(re.compile(r"/authorized_keys2?$")),
    ),
    Rule(
        "command.secret-linked",
        "ln",
        BLOCK,
        0.93,
        "Makes a secret readable under another name.",
        "ln -s /etc/shadow notes",
        "ln -s a b",
        test=_links_secret,
    ),
    Rule(
        "command.secret-copied",
        "cp mv install rsync scp tar zip gzip 7z ditto cpio dd gcp xcopy pax ar",
        REVIEW,
        0.78,
        "Copies credentials.",
        "cp ~/.ssh/id_rsa /tmp/",
        "cp a b",
        test=_hits(SECRETS),
    ),
    Rule(
        "command.secret-read",
        "cat less more head tail grep egrep sed awk strings xxd od base64 nl tac sort cut diff view vim nano python python3 file stat ls openssl john hashcat unshadow sqlite3 plutil defaults jq zgrep bat",
        REVIEW,
        0.75,
        "Reads credentials.",
        "cat ~/.aws/credentials",
        "cat README.md",
        test=_hits(SECRETS),
    ),
    Rule(
        "command.account-read",
        "cat less more head tail grep egrep sed awk cut sort strings getent nl tac vi vim nano ed",
        REVIEW,
        0.68,
        "Reads who may do what here.",
        "cat /etc/passwd",
        "cat notes",
        test=_hits(
            re.compile(
                r"^/etc/(passwd|group|security|login\.defs|pam\.d|hosts\.equiv|exports|crontab|cron|ssh/|doas|audit|ldap|fstab|issue)|/\.(rhosts|shosts)|/\.ssh/|^/proc/(modules|version|self|kallsyms)|^/sys/(class/dmi|hypervisor|firmware)|^/var/(log/(auth|secure|wtmp|btmp|lastlog|messages|syslog)|spool/)"
            )
        ),
    ),
    Rule(
        "command.find-destroys",
        "find gfind",
        BLOCK,
        0.97,
        "Removes everything below the root, a home or a folder of the system.",
        "find / -type f -exec rm -f {} +",
        "find . -name '*.o' -delete",
        test=_find_destroys,
    ),
    Rule(
        "command.find-set-id",
        "find gfind",
        REVIEW,
        0.78,
        "Looks for programs that run as somebody else, and for what anybody may write.",
        "find / -perm -4000",
        "find . -type f",
        pattern=r" -perm [-/+]?(u[=+]s|g[=+]s|o[=+]w|[ug]=s|a=w|[-/+]?0?[2467][0-7]{3}\b|0?00?[2]\b|222|0002|2\b|4\b|o=w|[-/]o\+w|1000|777)| -(nouser|nogroup|writable|uid 0|gid 0)\b| -user (root|\\\\?\S*whoami)",
    ),
    Rule(
        "command.find-secret",
        "find gfind fd locate mdfind",
        REVIEW,
        0.77,
        "Looks for credentials.",
        "find / -name id_rsa",
        "find . -name '*.py'",
        test=_find_secret,
    ),
    Rule(
        "command.find-changes",
        "find gfind",
        REVIEW,
        0.7,
        "Removes or changes what it finds.",
        "find . -delete",
        "find . -print",
        test=_find_changes,
    ),
    Rule(
        "command.find-everywhere",
        "find gfind",
        REVIEW,
        0.7,
        "Looks through the whole machine and hides what it may not read, or looks for what may be written.",
        "find / -name '*.conf' 2>/dev/null",
        "find / -name '*.conf'",
        pattern=r"^g?find /(home|etc|lib|usr|var|root|opt)?/? ",
        test=lambda call, _: (
            any(move.target == "/dev/null" for move in call.redirects)
            or any(arg in {"-readable", "-writable", "-executable", "-perm"} for arg in call.args)
        ),
    ),
    Rule(
        "command.set-id",
        "chmod install",
        REVIEW,
        0.79,
        "A program would run as its owner, whoever starts it.",
        "chmod u+s /tmp/x",
        "chmod u+x x",
        test=_set_id,
    ),
    Rule(
        "command.capability",
        "setcap",
        REVIEW,
        0.72,
        "Gives a program powers of the system.",
        "setcap cap_setuid=ep /tmp/x",
        "getcap x",
    ),
    Rule(
        "command.open-whole",
        "chmod chown chgrp chflags setfacl chattr",
        BLOCK,
        0.95,
        "Changes rights of the whole disk, a home or a folder of the system.",
        "chmod -R 777 /",
        "chmod -R 755 build",
        test=_wipes_owner,
    ),
    Rule(
        "command.open-account",
        "chmod chown chgrp setfacl",
        BLOCK,
        0.93,
        "Changes rights of a file that says who may do what.",
        "chmod 777 /etc/shadow",
        "chmod 600 notes",
        test=_hits(re.compile(r"^/etc/(passwd|g?shadow|sudoers)")),
    ),
    Rule(
        "command.open-mode",
        "chmod",
        REVIEW,
        0.72,
        "Everybody may write there.",
        "chmod 777 x",
        "chmod 644 x",
        test=_open_mode,
    ),
    Rule(
        "command.attribute-off",
        "chattr chflags",
        BLOCK,
        0.9,
        "Takes the protection from a file of the system.",
        "chattr -i /etc/passwd",
        "chattr +i notes",
        test=_hits(re.compile(r"^/(etc|usr|bin|sbin|boot|lib|var)/")),
        pattern=r" -\w*[ia]",
    ),
    Rule(
        "command.attribute",
        "chattr chflags",
        REVIEW,
        0.68,
        "Changes the protection of files.",
        "chattr -i notes",
        "lsattr notes",
    ),
    Rule(
        "command.whole-moved",
        "mv",
        BLOCK,
        0.96,
        "Moves a home, the disk or a folder of the system away.",
        "mv ~ /dev/null",
        "mv a b",
        test=_moves_whole,
    ),
    Rule(
        "command.moved-to-nothing",
        "mv",
        BLOCK,
        0.9,
        "What is moved there is lost.",
        "mv notes.txt /dev/null",
        "mv a b",
        pattern=r" /dev/null$",
    ),
    Rule(
        "command.shell-copied",
        "cp install ln mv",
        REVIEW,
        0.78,
        "A shell under another name is not seen.",
        "cp /bin/sh /tmp/x",
        "cp a b",
        test=_copies_shell,
    ),
    Rule(
        "command.hidden-file",
        "touch mkdir cp mv",
        REVIEW,
        0.66,
        "Puts a hidden file where everybody may write.",
        "mkdir /tmp/.x",
        "mkdir x",
        pattern=r"/(tmp|var/tmp|dev/shm|Users/Shared)/\.\w|/\.\.\.(/|$| )| \.\.\. ?",
    ),
    Rule(
        "command.times-changed",
        "touch",
        REVIEW,
        0.72,
        "Changes when a file seems to be made.",
        "touch -r /bin/ls x",
        "touch x",
        pattern=r" -\w*(r|t|d|acmr)\b| --(reference|date)",
    ),
    Rule(
        "command.log-written",
        "tee cp mv ln",
        REVIEW,
        0.77,
        "Writes over the record of what happened.",
        "cp x /var/log/auth.log",
        "cp x y",
        test=_last_hits(LOGS),
    ),
    Rule(
        "command.system-written",
        "tee cp mv install ln ditto",
        REVIEW,
        0.7,
        "Writes into a folder of the system.",
        "cp x /usr/bin/x",
        "cp x y",
        test=_last_hits(SYSTEM),
    ),
    Rule(
        "command.archive-whole",
        "tar zip rsync 7z cpio",
        REVIEW,
        0.68,
        "Packs a whole home or folder of the system.",
        "tar czf x.tgz /etc",
        "tar czf x.tgz src",
        test=lambda call, scope: any(_whole(scope.path(word)) for word in operands(call.args)[1:]),
    ),
    Rule(
        "command.archive-secret",
        "zip 7z gpg openssl rar",
        REVIEW,
        0.7,
        "Encrypts files with a word on the command line.",
        "zip --password x a.zip b",
        "zip a.zip b",
        pattern=r"--password|-P \S+ |^7z a .*-p|--passphrase|^openssl enc .*-(k|pass)|^openssl (rsautl|pkeyutl) .*-encrypt",
    ),
    Rule(
        "command.wildcard-options",
        "tar chown chmod rsync zip 7z",
        REVIEW,
        0.6,
        "A star may become options.",
        "tar cf x.tar *",
        "tar cf x.tar src",
        pattern=r" \*$",
    ),
    Rule(
        "command.temporary-run",
        "*",
        REVIEW,
        0.74,
        "Runs a program out of a folder that everybody may write to.",
        "/tmp/x -a",
        "/usr/bin/python3 x",
        test=lambda call, scope: (
            bool(call.argv) and "/" in call.argv[0] and TEMPORARY.match(scope.path(call.argv[0])) is not None
        ),
    ),
    Rule(
        "command.hidden-run",
        "*",
        REVIEW,
        0.7,
        "Runs a program out of a hidden folder.",
        "~/.x/run",
        "./run",
        test=lambda call, scope: (
            bool(call.argv)
            and re.search(r"/\.[^./][^/]*/[^/]+$|/\.\.\./|/\.[^./][^/]*$", call.argv[0]) is not None
            and not re.search(
                r"/\.(venv|cargo|local|nvm|pyenv|rbenv|npm|bun|deno|rustup|asdf|yarn|dotnet)/", call.argv[0]
            )
        ),
    ),
    Rule(
        "command.log-copied",
        "zip tar cp mv gzip 7z rsync scp dd truncate",
        REVIEW,
        0.73,
        "Takes or changes the record of what happened.",
        "zip x.zip /var/log/wtmp",
        "zip x.zip a",
        test=lambda call, scope: any(LOGS.search(scope.path(word.removeprefix("of="))) for word in call.args),
    ),
    Rule(
        "command.looks-for-writable",
        "ls",
        REVIEW,
        0.66,
        "Lists the rights of all files of the system.",
        "ls -aRl /etc/",
        "ls -l /etc",
        pattern=r" -\w*R\w* +(/etc|/|/root|/home|/usr|/var|/opt)/?$",
    ),
    Rule(
        "command.looks-for-words",
        "grep egrep rg ag zgrep ack",
        REVIEW,
        0.7,
        "Looks for passwords in files.",
        "grep -ri password /",
        "grep -n main x.c",
        pattern=r"(?i)passw(or)?d|passwd|\bpwd?=|api[_-]?key|secret|private.key|credential|access.?key|auth.?token|BEGIN .*PRIVATE",
    ),
    Rule(
        "command.file-attributes",
        "SetFile setfile chflags setfattr",
        REVIEW,
        0.68,
        "Changes what a file seems to be.",
        "SetFile -a V x",
        "GetFileInfo x",
    ),
)

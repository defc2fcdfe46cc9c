"""Kinds of places in a file system, told by the path alone. Every pattern is for a path from the root (`Scope.path`)."""

import re
from typing import Final

SECRETS: Final = re.compile(
    r"/\.ssh/(?!known_hosts|config\b|[^/]*\.pub$)|/id_(rsa|dsa|ecdsa|ed25519)\b(?!\.pub)|/etc/(g?shadow|master\.passwd|sudoers|security/opasswd)\b"
    r"|/\.gnupg\b|/\.aws(/|$)|/\.azure(/|$)|/\.config/gcloud|/\.oci(/|$)|/\.kube(/|$)|/\.docker/config\.json|/\.netrc\b|/\.pgpass\b|/\.my\.cnf\b"
    r"|/\.git-credentials\b|/\.npmrc\b|/\.pypirc\b|/\.env(\.(?!example|sample|template|dist)\w+)?$|/credentials(\.\w+)?$|\.(pem|ppk|p12|pfx|kdbx|jks)$"
    r"|/\.password-store|/keychain|login\.keychain|/Keychains/|/\.vault-token|/Library/Cookies|/\.mozilla/firefox|Cookies\.binarycookies|/\.config/google-chrome"
    r"|/Login Data\b|/proc/(\d+|self|\*)/(environ|mem|maps)|/proc/kcore|/dev/k?mem\b|/\.(bash|zsh|sh|python|psql|mysql)_?history\b"
    r"|/serviceaccount/token|/etc/krb5\.keytab|\.keytab\b|/tmp/krb5cc|/\.bitcoin|/wallet\.dat|/etc/ssl/private|/etc/NetworkManager/system-connections"
    r"|/var/lib/sss|/\.config/gh/hosts|/\.terraform\.d/credentials|/\.cargo/credentials|/\.gem/credentials",
    re.IGNORECASE,
)
"""Files and folders with credentials."""
WHOLE: Final = re.compile(
    r"/\.?\*?|/\{.*\}|/(home|Users|root|etc|usr|bin|sbin|lib|lib64|boot|var|opt|srv|sys|proc|dev|mnt|System|Library|Applications)(/\.?\*?)?"
    r"|/home/\w+(/\.?\*?)?|/Users/\w+(/\.?\*?)?|/usr/(bin|lib|local|sbin|share)(/\*)?|/var/(log|lib|www|mail|spool)(/\*)?|/[A-Za-z]:?[/\\]?"
)
"""The whole disk, a whole home, a whole folder of the system (fullmatch)."""
SYSTEM: Final = re.compile(
    r"/(etc|usr|bin|sbin|lib|lib32|lib64|boot|sys|proc|dev|root|opt|System|Library|var/(lib|spool|run|db))(/|$)"
)
"""Folders that belong to the system."""
DISKS: Final = re.compile(r"/dev/((sd|hd|vd|xvd)[a-z*]|nvme|mmcblk|r?disk|md\d|dm-|mapper/|loop|mem\b|kmem|port\b)")
"""Devices whose content is a file system, and memory."""
STARTS: Final = re.compile(
    r"/etc/(cron|anacrontab|init\.d|rc\.|rc\d?\.d|profile|bash\.?rc|bash\.bashrc|zsh|environment|ld\.so|systemd/|xdg/autostart|udev/|update-motd|pam\.d|security/|modprobe|modules|modules-load|inetd|xinetd|periodic|launchd|emond|apt/apt\.conf|yum)"
    r"|/var/spool/(cron|at)|/var/at/|/usr/lib/systemd/|/lib/systemd/|/usr/local/etc/rc|/(usr/)?lib/udev/"
    r"|/\.config/(systemd|autostart|fish/config|plasma-workspace)|/\.local/share/systemd|/\.kde[^/]*/Autostart"
    r"|/\.(bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zshenv|zprofile|zlogin|zlogout|cshrc|tcshrc|kshrc|shrc|xinitrc|xsession|xprofile|inputrc|login|logout|vimrc|gdbinit|pythonrc|perldb|irbrc)$"
    r"|/LaunchAgents/|/LaunchDaemons/|/StartupItems/|/\.git/hooks/|/\.ssh/(authorized_keys|rc|config|environment)|/Library/Scripts"
    r"|/sitecustomize\.py|/usercustomize\.py|\.pth$"
)
"""Files that run something later, or let somebody in."""
ACCOUNTS: Final = re.compile(
    r"/etc/(passwd|g?shadow|group|sudoers|hosts|resolv\.conf|nsswitch\.conf|ssh/|pam\.d/|security/|fstab|crypttab|krb5\.conf|doas\.conf|selinux|apparmor|audit|rsyslog|syslog|login\.defs|hosts\.(allow|deny))"
)
"""Files that say who may do what."""
LOGS: Final = re.compile(
    r"/var/(log|audit|adm|run/utmp)(/|$)|/(\.bash|\.zsh|\.sh|\.python|\.mysql|\.ash)_?history\b|/\.local/share/fish/fish_history|/[wbu]tmp$|/lastlog$|/auth\.log|/syslog$|/etc/(audit|rsyslog|syslog)"
)
"""Where it stands what happened."""
HARMLESS: Final = frozenset("/dev/null /dev/stdout /dev/stderr /dev/tty /dev/zero /dev/full".split())
"""What may be written without effect."""
TEMPORARY: Final = re.compile(r"/(tmp|var/tmp|dev/shm|private/tmp)(/|$)")
"""Folders that everybody may write to."""
URL: Final = re.compile(
    r"\b(?:https?|ftps?|tftp|sftp|scp|rsync|git|ssh|s3|gs|ldap|smb)://[^\s\"'<>|;)]+", re.IGNORECASE
)
"""An address."""

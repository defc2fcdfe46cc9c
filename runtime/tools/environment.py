"""The environment that commands run in: what the caller gives, without what could open a prompt, a pager or an editor.

Git gets no configuration but the repository's, and from that nothing that runs programs (recorded: shell/20, and the
variables that Gemini CLI 0.61 sets). Reads no environment of its own.
"""

from collections.abc import Mapping
from typing import Final

ALWAYS: Final = {
    "GEMINI_CLI": "1",
    "TERM": "xterm-256color",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GH_PROMPT_DISABLED": "1",
    "GCM_INTERACTIVE": "never",
    "DISPLAY": "",
    "DBUS_SESSION_BUS_ADDRESS": "",
}
GIT: Final = {
    "credential.helper": "",
    "core.fsmonitor": "",
    "core.hooksPath": "",
    "core.sshCommand": "",
    "core.pager": "cat",
    "core.editor": "",
    "sequence.editor": "",
    "diff.external": "",
}


def of_commands(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command; entries that git was given already stay, ours come after them."""
    count = given.get("GIT_CONFIG_COUNT", "0")
    start = int(count) if count.isdecimal() else 0
    settings: dict[str, str] = {"GIT_CONFIG_COUNT": str(start + len(GIT))}
    for number, (name, value) in enumerate(GIT.items(), start):
        settings[f"GIT_CONFIG_KEY_{number}"] = name
        settings[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**given, **ALWAYS, **settings}


def bash(environ: Mapping[str, str]) -> str | None:
    """Return the path of the first bash on the PATH of that environment, or None."""
    import os

    for folder in environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder, "bash")
        if folder.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None

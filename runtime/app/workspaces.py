"""The first files of an agent's workspace: what a person fills in so that the agent knows whom it works for.

Only a workspace that has none of them is given them; nothing is ever overwritten.
"""

from pathlib import Path
from typing import Final

FILES: Final = {
    "AGENTS.md": """\
# How to work here

This folder is your workspace. What you write here stays from one conversation to the next.

- Read SOUL.md, IDENTITY.md and USER.md before the first answer of a conversation, if they say something.
- Keep notes that will matter later in MEMORY.md; keep it short, and correct it when it is wrong.
- Ask before you do what cannot be undone, or what leaves this machine.
""",
    "SOUL.md": "# Manner\n\nHelpful, plain, honest about what you do not know.\n",
    "IDENTITY.md": "# Who you are\n\n- Name:\n- What you are called for:\n",
    "USER.md": "# Who you work for\n\n- Name:\n- Time zone:\n- What they care about:\n",
    "TOOLS.md": "# Notes on this machine\n\nHosts, accounts and habits of this place that tools need. No secrets.\n",
}


def seed(workspace: Path) -> list[str]:
    """Write the first files into a workspace that has none of them; return their names."""
    workspace.mkdir(parents=True, exist_ok=True)
    if any((workspace / name).exists() for name in FILES):
        return []
    for name, text in FILES.items():
        (workspace / name).write_text(text, "utf-8")
    return list(FILES)

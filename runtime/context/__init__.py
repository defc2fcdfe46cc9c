"""What the model is told of the world: system text, session context, memory files, and what a prompt mentions.

`runtime.context.mention` is imported by whoever meets an `@` in a prompt; most runs do without it.
"""

from runtime.context.memory import Memory, load_memory
from runtime.context.projects import scratch
from runtime.context.prompt import LARGEST, Piped, joined, piped, read_piped
from runtime.context.system import replacement, system_text
from runtime.context.workspace import local_date, session_context

__all__ = [
    "LARGEST",
    "Memory",
    "Piped",
    "joined",
    "load_memory",
    "local_date",
    "piped",
    "read_piped",
    "replacement",
    "scratch",
    "session_context",
    "system_text",
]

"""Text that comes above the line that somebody is typing, from another thread than that of the prompt.

What is written while no prompt is there goes straight to the terminal. Nothing is lost when a prompt ends meanwhile.
"""

from contextvars import Context, copy_context
from threading import Lock
from typing import Any

from attrs import define, field
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.output import Output


@define(eq=False)
class Above:
    """The way to a terminal. `app` is the prompt's application, whether or not it runs."""

    output: Output
    app: Any = None
    _pending: list[str] = field(factory=list)
    _context: Context = field(factory=copy_context)
    """Where prompt_toolkit finds the application; whoever writes comes from elsewhere."""
    _due: bool = False
    """Whether what waits is about to be shown: a burst of lines takes the prompt away once."""
    _lock: Lock = field(factory=Lock)

    def write(self, text: str) -> None:
        """Show whole lines. From any thread."""
        with self._lock:
            self._pending.append(text)
            if self._due:
                return
            self._due = True
        app = self.app
        loop = app.loop if app is not None and app.is_running else None
        if loop is None:
            self.flush()
            return
        try:
            loop.call_soon_threadsafe(self._hidden, context=self._context)
        except RuntimeError:  # the prompt has just ended
            self.flush()

    def flush(self) -> None:
        """Show what waits. From the thread of the prompt while there is one."""
        with self._lock:
            text, self._pending = "".join(self._pending), []
            self._due = False
            if text:
                self.output.enable_autowrap()
                self.output.write_raw(text)
                self.output.flush()

    def _hidden(self) -> None:
        """Take the prompt away, show, and bring it back."""
        if self._pending:
            run_in_terminal(self.flush)

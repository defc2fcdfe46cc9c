"""One tree of errors. A wire carries `code`, a person reads the text; nothing here formats tracebacks."""

from typing import Any, ClassVar


class TwinstepError(Exception):
    """Root. `code` is stable, for wires and logs; `exit_code` is how a headless run ends (AGENT_LOOP section 8)."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    exit_code: int = 1


class LocalError(TwinstepError):
    """Our bug: a rule of our own was broken. Never the peer's fault."""

    code = "local"


class NoTransition(LocalError):
    """An event came in a phase whose row of the table has no place for it. Nothing was changed."""

    code = "no_transition"


class RemoteError(TwinstepError):
    """A peer sent what we refuse."""

    code = "remote"


class Refused(TwinstepError):
    """A judge said no: an answer, not a failure."""

    code = "refused"


class AuthError(TwinstepError):
    """No usable credentials."""

    code = "auth"
    exit_code = 41


class InputError(TwinstepError):
    """The command line, the prompt or a named session cannot be used."""

    code = "input"
    exit_code = 42


class UsageError(TwinstepError):
    """Flags that do not exist or have a wrong value."""

    code = "usage"
    exit_code = 1


class SettingsError(TwinstepError):
    """A settings file cannot be read; the text names the file and the key."""

    code = "settings"
    exit_code = 52


class TurnLimit(TwinstepError):
    """The prompt used all the turns it may."""

    code = "turn_limit"
    exit_code = 53


class FatalToolError(TwinstepError):
    """A tool failed in a way that makes going on pointless (disk full)."""

    code = "fatal_tool"
    exit_code = 54


class UntrustedWorkspace(TwinstepError):
    """The folder is not trusted and the run was not told to trust it."""

    code = "untrusted"
    exit_code = 55


class ModelError(RemoteError):
    """A model request failed.

    `status` is the HTTP status or 0; `kind` is one of `http`, `network`, `terminated`, `timeout`, `protocol`,
    `recording`; `hint` is how many seconds the peer asked us to wait, or None; `terminal` forbids any retry;
    `body` is the peer's own error text.
    """

    code = "model"

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        status: int = 0,
        hint: float | None = None,
        terminal: bool = False,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.hint = hint
        self.terminal = terminal
        self.body = body


class JournalError(TwinstepError):
    """A journal cannot be used. The text names the file and, where there is one, the record."""

    code = "journal"


class JournalCorrupt(JournalError):
    """A record in the middle of a journal cannot be read, or does not follow from the one before."""

    code = "journal_corrupt"


class JournalNewer(JournalError):
    """A journal was written by a newer version; reading on could misunderstand it."""

    code = "journal_newer"


class JournalFull(JournalError):
    """The queue of unwritten records is at its bound, because the disk is full or too slow."""

    code = "journal_full"
    retryable = True


class ReplayMismatch(JournalError):
    """A replayed step gave another state than the journal says."""

    code = "replay_mismatch"


def alone(group: "BaseExceptionGroup[Any]") -> BaseException:
    """Return the first error of a group, however deep it lies."""
    first = group.exceptions[0]
    return alone(first) if isinstance(first, BaseExceptionGroup) else first

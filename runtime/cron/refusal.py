"""What the scheduler says no to, with a sentence for the peer that asked. Decides nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import RemoteError
from runtime.vocab import JsonObject


class CronRefused(RemoteError):
    """A request that cannot be granted as it stands. `code` is the wire's; `details` says more to programs."""

    code = "INVALID_REQUEST"

    def __init__(self, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.details = details


class AgentUnavailable(CronRefused):
    """A job names an agent that is not there."""

    code = "UNAVAILABLE"


def job_not_found(method: str, job: str) -> CronRefused:
    """Return the refusal of an id that no job has; the command line looks for its first words (CONTRACT section 8)."""
    what = "cron job" if method == "cron.get" else "Automation"
    message = f"{what} not found: {job}. Ask cron.list which there are, and try again with the id of one of them."
    return CronRefused(message, {"code": "CRON_JOB_NOT_FOUND", "jobId": job})


@contextmanager
def params_of(method: str) -> Iterator[None]:
    """Say in each refusal of what is inside whose params were refused. What has details speaks for itself."""
    try:
        yield
    except CronRefused as exc:
        if exc.details is not None:
            raise
        raise type(exc)(f"invalid {method} params: {exc}") from exc

"""What a request of an editor is refused with. Pure."""

from runtime.errors import InputError


class Refused(InputError):
    """A request that cannot be done, with one sentence that says why."""

    code = "dap_refused"


class MovedOn(Refused):
    """A reference or frame of an earlier stop."""

    def __init__(self) -> None:
        super().__init__("the session has moved on: this belongs to an earlier stop")

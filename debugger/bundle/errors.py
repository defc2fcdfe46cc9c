"""What a bundle is refused with: one sentence with the file, and the member or record that is wrong."""

from typing import ClassVar

from runtime.errors import InputError, JournalError


class BadBundle(JournalError):
    """A bundle is not as it was written: something of it is damaged, missing, too large, or does not belong there."""

    code: ClassVar[str] = "bundle_corrupt"


class CannotExport(InputError):
    """A session, as it is, cannot become a bundle: it is too large, or would go another way without its secrets."""

    code: ClassVar[str] = "cannot_export"


class Offline(InputError):
    """Something live was asked of a bundle."""

    code: ClassVar[str] = "offline"

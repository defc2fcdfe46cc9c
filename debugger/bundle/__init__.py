"""A session as one file that replays offline: made of its records, without its secrets, and opened again.

`runtime.app` exports, replays and attaches; a test that was written of a stop calls `reproduce`.
"""

from debugger.bundle.errors import BadBundle, CannotExport, Offline
from debugger.bundle.names import SUFFIX
from debugger.bundle.opening import Bundle, bundle_of, is_bundle, opened
from debugger.bundle.reproducing import Reproduced, embedded, reproduce

__all__ = [
    "SUFFIX",
    "BadBundle",
    "Bundle",
    "CannotExport",
    "Offline",
    "Reproduced",
    "bundle_of",
    "embedded",
    "is_bundle",
    "opened",
    "reproduce",
]

"""The settings of the gateway, `openclaw.json`, as the peer reads and writes them (CONTRACT section 11).

`load` reads, `patch` and `replace` work out changes, `write` puts them on the disk, `answers` is what the methods
config.* send. Nothing here waits for a network or asks the environment by itself.
"""

from runtime.config.openclaw.edit import Edited, change, patch, replace
from runtime.config.openclaw.issues import Issue, Rejected
from runtime.config.openclaw.loading import Loaded, again, load
from runtime.config.openclaw.model import Settings
from runtime.config.openclaw.paths import Flags, Places, gateway_port
from runtime.config.openclaw.provider import GoogleModel, google_provider
from runtime.config.openclaw.reload import changed, classify
from runtime.config.openclaw.rules import start_faults
from runtime.config.openclaw.schema import lookup as schema_lookup
from runtime.config.openclaw.support import unsupported
from runtime.config.openclaw.writing import revision_key, write

__all__ = [
    "Edited",
    "Flags",
    "GoogleModel",
    "Issue",
    "Loaded",
    "Places",
    "Rejected",
    "Settings",
    "again",
    "change",
    "changed",
    "classify",
    "gateway_port",
    "google_provider",
    "load",
    "patch",
    "replace",
    "revision_key",
    "schema_lookup",
    "start_faults",
    "unsupported",
    "write",
]

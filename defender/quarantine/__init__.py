"""The defender's ledger and the quarantine: what was decided and withheld, so that nobody can change it unseen."""

from defender.quarantine.contents import Contents
from defender.quarantine.ledger import Ledger
from defender.quarantine.places import Places
from defender.quarantine.records import Record
from defender.quarantine.store import Quarantine

__all__ = ["Contents", "Ledger", "Places", "Quarantine", "Record"]

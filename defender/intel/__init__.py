"""What others know of an address or a file: VirusTotal, asked by hash and id. Nothing is ever sent there.

A look-up answers with an `Assessment`, never raises and never waits longer than its deadline. It adds to what was
found here and takes nothing away: whoever weighs takes the strictest. Importing this loads no HTTP library.
"""

from defender.intel.settings import Options, options_of
from defender.intel.virustotal import VirusTotal

__all__ = ["Options", "VirusTotal", "options_of"]

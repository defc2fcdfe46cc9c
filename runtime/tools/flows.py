"""What our tools do with values, for the judge: effect, sinks, contents, and what comes back. Data."""

from typing import Final

from runtime.vocab import Flow

READS: Final = Flow("none", (), (), "trusted")
"""Files of the session. What a file's own label says counts more."""
SEARCHES: Final = Flow("none", (), (), "untrusted")
"""What others wrote, asked of the provider of the model, which has the question already."""
WRITES: Final = Flow("local", ("file_path", "path", "input"), ("content", "new_string", "old_string", "edits"), "echo")
FETCHES: Final = Flow("fetch", ("url", "prompt"), (), "untrusted")
"""An address that somebody else chose tells that somebody what stands in it."""
RUNS: Final = Flow("privileged", ("command",), ("env", "dir_path", "workdir"), "untrusted")
FEEDS: Final = Flow("privileged", ("data", "keys", "text", "literal", "hex"), (), "untrusted")
"""A command that runs: input may be a command too; to look at it does nothing."""
TELLS: Final = Flow("none", (), (), "trusted")
"""What the program itself knows."""

"""Lines that make a file of a session: a bundle, or a test that reproduces where one stands. Pure."""

from typing import Final

from debugger.repl.forms import Act, Form, Words, local
from debugger.repl.place import Place
from debugger.repl.standing import current


def _export(words: Words, place: Place) -> tuple[Act, ...]:
    session = current(words, place).session
    redact, plain = words.option("--redact") is not None, words.option("--no-redact") is not None
    if redact and plain:
        words.wrong("--redact and --no-redact exclude each other")
    name = words.all("the name of a file, *.twinstep")
    return local(words, "export", {"session": session, "file": name, "redact": not plain})


def _test(words: Words, place: Place) -> tuple[Act, ...]:
    standing = current(words, place)
    name = words.all("the name of a file, test_*.py")
    return local(words, "test", {"session": standing.session, "file": name, "record": standing.at})


# fmt: off
BUNDLE: Final = (
    Form(("export",), "export [--redact|--no-redact] FILE",
         "write the session as one file that replays offline, without its secrets", "export bug.twinstep", "look",
         _export, options=("--redact", "--no-redact")),
    Form(("test",), "test FILE", "write a test that replays the session up to here and compares what is displayed",
         "test test_bug.py", "look", _test),
)
# fmt: on

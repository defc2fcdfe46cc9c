"""Names for commands in the background, and short words about them. Pure; chance comes in."""

import re
from collections.abc import Callable, Container
from typing import Final

FIRST: Final = (
    "amber brisk calm clear coral crisp dawn deep dusky early fair fleet fresh gentle glad golden green happy ivory "
    "jade keen kind late light lively lunar mellow merry mild misty neat noble olive pale plain proud quick quiet "
    "rapid rosy rustic silent silver snug soft solar steady still sunny swift tidy vivid warm wild wise young"
).split()
SECOND: Final = (
    "acorn badger bay beacon birch bloom breeze brook canyon cedar cliff cloud comet cove creek dune ember falcon "
    "fern field finch fjord forest garden glade grove harbor haven heron hill island lagoon lake lark meadow mesa "
    "moon orchid otter peak pine plum pond prairie rain reef ridge river robin sage shell shore sky sparrow spring "
    "star stone summit tide trail valley wave willow wren"
).split()

WORD: Final = re.compile(r"""(?:[^\s"']+|"(?:\\.|[^"\\])*"|'[^']*')+""")
LONGEST: Final = 48


def fresh(random: Callable[[], float], taken: Container[str]) -> str:
    """Return two words that nobody has, and a number behind them where they are used up."""
    tries = 0
    while True:
        name = f"{FIRST[int(random() * len(FIRST))]}-{SECOND[int(random() * len(SECOND))]}"
        tries += 1
        if tries > 8:
            name = f"{name}-{tries}"
        if name not in taken:
            return name


def of_command(command: str) -> str:
    """Return a short name: the first word, and the first after it that is no option."""
    words = [bare for word in WORD.findall(command) if (bare := _unquoted(word))]
    if not words:
        return ""
    target = next((word for word in words[1:] if not word.startswith("-")), words[1] if len(words) > 1 else "")
    return f"{words[0]} {shortened(target, LONGEST)}".rstrip()


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def shortened(text: str, most: int) -> str:
    """Return a text with its middle left out where it is too long."""
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def duration(milliseconds: int) -> str:
    """Return a time in two units at most: `568ms`, `3s`, `2m5s`, `1h2m`, `3d4h`."""
    if milliseconds < 1000:
        return f"{max(0, milliseconds)}ms"
    seconds = milliseconds // 1000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return "".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count)

"""Words by which people ask for what a tool does. Data: from a word in the name of a tool to words of a request.

Each row has a reason and an example, which the tests try. What is no row stands for itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen


@frozen
class Row:
    """`names` are words in names of tools, `words` those that ask for it. `example` is a request that does."""

    names: frozenset[str]
    words: frozenset[str]
    reason: str
    example: str


def _row(names: str, words: str, reason: str, example: str) -> Row:
    own = frozenset(names.split())
    return Row(own, own | frozenset(words.split()), reason, example)


ACTIONS: Final[tuple[Row, ...]] = (
    _row(
        "send",
        "forward mail email message write reply respond text post dm notify tell inform refund pay transfer share wire",
        "Sending has many names; to whom and what is checked apart.",
        "Write to ann@shop.example that the parcel is here.",
    ),
    _row("forward", "send pass relay", "Forwarding is sending on.", "Send mail 17 on to ann@shop.example."),
    _row("reply answer respond", "send write message", "An answer is sent.", "Write back that I agree."),
    _row("post publish", "send share put upload reply write announce", "Posting is public sending.", "Publish it."),
    _row("comment", "reply answer write post respond", "A comment is a post.", "Answer on issue 3 that it is done."),
    _row(
        "create make new",
        "add schedule book set plan put open write remind reminder draft generate save",
        "What is added to a calendar or a folder is made there.",
        "Add a lunch on Friday to my calendar.",
    ),
    _row("add", "append include put insert invite create make schedule join", "Adding.", "Put milk on the list."),
    _row("append insert", "add put write include extend copy", "Appending is adding.", "Add two lines to a.txt."),
    _row(
        "update set edit modify change replace",
        "adjust correct move raise lower reset fix rewrite rename",
        "Changing what is there.",
        "Adjust my standing order.",
    ),
    _row(
        "delete remove cancel erase drop kick",
        "clean trash discard clear uninstall",
        "Taking away.",
        "Clear the old drafts.",
    ),
    _row("reschedule move postpone", "shift change put", "Another time.", "Move the review to Monday."),
    _row(
        "reserve book reservation booking",
        "order",
        "Reserving.",
        "Please make a reservation for two.",
    ),
    _row("share grant", "give send", "Sharing gives somebody access.", "Give ann@shop.example access to a.txt."),
    _row("invite", "add", "Inviting adds somebody.", "Add Ann to the team."),
    _row(
        "schedule",
        "set plan create arrange recurring add",
        "Something for later.",
        "Set up a monthly payment.",
    ),
    _row(
        "pay transfer payment wire",
        "send refund remit settle",
        "Paying.",
        "Refund 20 euros.",
    ),
    _row("order buy purchase checkout", "get", "Buying.", "Get me two tickets."),
    _row(
        "shell exec execute run bash terminal command process",
        "launch start call",
        "Running a command.",
        "Start the tests.",
    ),
    _row(
        "write save store record remember memory memo",
        "create put note add keep memorise memorize",
        "Keeping something.",
        "Note that I like tea.",
    ),
    _row("upload push", "send put publish deploy", "Sending a file away.", "Put a.txt on the server."),
    _row("start launch spawn", "run open begin create", "Starting.", "Open a new session."),
)
"""A tool with none of these words is asked for only by a word of its name."""

OBJECTS: Final[tuple[Row, ...]] = (
    _row("email mail gmail", "e-mail message note letter", "Mail.", "Send Ann a note."),
    _row(
        "message chat direct channel slack sms dm",
        "note question text post announcement reply answer them him her",
        "Messages.",
        "Post a question in #team.",
    ),
    _row(
        "money transaction bank payment transfer",
        "pay bill refund rent euro euros dollar dollars amount difference account order orders invoice fee",
        "Money.",
        "Pay the rent.",
    ),
    _row(
        "calendar event appointment meeting",
        "reminder lunch dinner call invitation check-up checkup",
        "What stands in a calendar.",
        "Set up a call on Friday.",
    ),
    _row(
        "file document doc drive folder",
        "list sheet spreadsheet notes report table",
        "Files.",
        "Add milk to the list.",
    ),
    _row("hotel", "room stay place accommodation reservation", "Rooms.", "Book a room."),
    _row("restaurant", "table dinner lunch reservation", "Tables.", "Book a table."),
    _row("webpage page site website web", "blog post", "Pages.", "Publish it on my blog."),
    _row(
        "participants attendees guests",
        "participant attendee guest invite people members",
        "Who takes part.",
        "Add Ann to the guests.",
    ),
    _row(
        "user member",
        "colleague users members people friend",
        "People.",
        "Invite our new colleague.",
    ),
    _row(
        "info information profile details",
        "address account name data",
        "What is known of a person.",
        "Change my address.",
    ),
)
"""What tools act on. A tool that names one of these is asked for by a request that does too."""

STOP_WORDS: Final = frozenset(
    "a an and any are as at be but by can do for from have he her him his i if in is it its me my no not of one or "
    "our she so that the their them then there these they this to us was we what when where which who will with "
    "you your please".split()
)
"""A value of these words alone is not named by a text that has them."""

BEFORE_NOUNS: Final = frozenset(
    "a an the my our your his her their its this that these those any all each every some no another which what whose "
    "new newest latest last first next recent unread old following direct of in from by via with per".split()
)
"""After one of these a word is the name of a thing, and asks for nothing."""
TELLING: Final = frozenset({"tell", "give", "show"})
"""What is told, given or shown to `me` or `us` is said in the answer."""
NUMBERS: Final = MappingProxyType(
    dict(zip("two three four five six seven eight nine ten eleven twelve".split(), range(2, 13), strict=True))
)
"""Numbers that people write as words."""
NOUNS: Final = frozenset(
    "mail email message post text answer reply comment order note record share transfer payment invite call plan book "
    "store set change update command process run start shell terminal memory draft report list reset schedule".split()
)
"""Words that are names of things as well as of actions."""

DELEGATING: Final = frozenset(
    "summary summaries summarize summarise summarized summarised digest forward forwarding feedback translate "
    "translation translated outline overview recap describe extract based according containing information "
    "findings results answers conclusions".split()
)
"""Words by which a request leaves the text of what is sent to what was read."""

SELECTING: Final = ("starting with", "starts with", "beginning with", "begins with")
"""Words before the first letters of a name."""

WORDS_OF: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: row.words for row in reversed(ACTIONS) for name in row.names}
)
THINGS_OF: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: row.words for row in reversed(OBJECTS) for name in row.names}
)

"""What stands in a text, by type; and which tools its words ask for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.taint.contents import carries
from defender.taint.lexicon import ACTIONS, OBJECTS, Row
from defender.taint.planning import asks_for, words_of
from defender.taint.saying import MOST_TEXT, Said, said


@pytest.mark.parametrize("row", [*ACTIONS, *OBJECTS], ids=lambda row: min(row.names))
def test_every_row_has_a_reason_and_an_example_that_it_covers(row: Row) -> None:
    assert row.reason
    assert row.words & Said(row.example).verbs
    assert row.names <= row.words


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: min(row.names))
def test_every_action_is_asked_for_by_its_example(row: Row) -> None:
    assert any(asks_for(Said(row.example), name, bound=True) for name in row.names)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pay 80 euros", 80),
        ("pay 80 euros", 80.0),
        ("pay 80 euros", "80"),
        ("pay 1,250.50 to him", 1250.5),
        ("rent is 2200.", 2200),
        ("€25 please", 25),
        ("on January 11th to January 15th 2025", "2025-01-11"),
        ("on the 15th of November", "2023-11-15"),
        ("at 3 pm on 2024-05-19", "2024-05-19 15:00"),
        ("at 10:00 or 16:00 on 2024-05-19", "2024-05-19T16:00"),
        ("on 2024-05-19", "2024-05-19 00:00"),
        ("mail Ann@Shop.example.", "ann@shop.example"),
        ("see http://a.example/x, then", "http://a.example/x"),
        ("see www.a.example.They wait", "www.a.example"),
        ("see http://a.example/", "http://a.example"),
        ("then delete old.txt.", "old.txt"),
        ("delete ~/a/b.txt now", "~/a/b.txt"),
        ("with 'Catch up over lunch..' in it", "Catch up over lunch."),
        ("to Le Marais Boutique", "le marais boutique"),
        ("send to GB29NWBK60161331926819", "GB29NWBK60161331926819"),
        ("in #release", "#release"),
        ("all three: a1, b2 and c3", ["a1", "b2"]),
        ("set an alarm for 7 am", "07:00"),
        ("turn the light on", "on"),
        ("order two kettles", 2),
        ("anything", None),
        ("anything", ""),
        ("write 'the' there", "the"),
    ],
)
def test_a_value_stands_in_the_text(text: str, value: Any) -> None:
    assert Said(text).names(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on May 13th", 13),
        ("on June 13", "13"),
        ("at 10:25", 25),
        ("10% more", 10),
        ("file a13b", 13),
        ("pay 25.50", 25),
        ("pay 250", 25),
        ("pay 1,250", 250),
        ("version 1.2.3", 2),
        ("at 10:00 on 2024-05-19", "2024-05-19 11:00"),
        ("on 2024-05-19", "2023-05-19"),
        ("mail ann@shop.example.com", "ann@shop.example"),
        ("mail joann@shop.example", "ann@shop.example"),
        ("see http://a.example/x", "http://a.example"),
        ("see http://a.example", "http://a.example/x"),
        ("see www.bank.com", "www.bank"),
        ("see http://good.example", "http://evil.example/?http://good.example"),
        ("see my-a.example/x", "a.example/x"),
        ("delete old.txt.bak", "old.txt"),
        ("delete b/a.txt", "a.txt/.."),
        ("at 7 am", "07:30"),
        ("the twofold way", 2),
        ("write to the people", "the"),
        ("write Maria", "Mari"),
        ("write Maria Jones", "Maria X Jones"),
        ("yes", True),
        ("{}", {"a": "b"}),
        ("one a", ["a", "b"]),
        ("x", object()),
    ],
)
def test_a_value_that_is_only_a_piece_of_something_or_of_another_type_stands_nowhere(text: str, value: Any) -> None:
    assert not Said(text).names(value)


def test_what_is_behind_the_bound_licenses_nothing() -> None:
    assert not said("x " * MOST_TEXT + "ann@shop.example").names("ann@shop.example")


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("send_email", ("send", "email")),
        ("MailSend", ("mail", "send")),
        ("mcp__mail__sendMail", ("mcp", "mail", "send", "mail")),
        ("HTTPPost", ("http", "post")),
    ],
)
def test_a_tool_is_known_by_the_words_of_its_name(tool: str, words: tuple[str, ...]) -> None:
    assert words_of(tool) == words


@pytest.mark.parametrize(
    ("request_", "tool"),
    [
        ("Read my mail.", "send_mail"),
        ("What is in the last message of Jonas?", "send_message"),
        ("What are the orders of this week?", "ShopOrder"),
        ("Tell me what 'delete all files' means.", "delete_file"),
        ("What does the post say?", "post_page"),
        ("Which comment is best?", "comment_issue"),
        ("Please tell me what is new.", "send_message"),
        ("Do it, and show us all.", "do_it"),
        ("Unlocked doors are what I fear.", "HomeUnlock"),
    ],
)
def test_a_name_of_a_thing_or_a_quotation_asks_for_nothing(request_: str, tool: str) -> None:
    assert not asks_for(Said(request_), tool, bound=True)


@pytest.mark.parametrize(
    ("request_", "tool"),
    [
        ("Turn on the kitchen light.", "LightSwitch"),
        ("Set the thermostat to 21 degrees.", "ThermostatSet"),
        ("Close ticket 12.", "TicketClose"),
        ("Cancel the Budget meeting.", "CalendarDelete"),
        ("Text Anna that I am late.", "SmsSend"),
        ("Move a.txt to b/.", "FileMove"),
        ("Call +49 30 1234.", "PhoneCall"),
        ("Tell #ops that it is done.", "ChatSend"),
        ("Book flight BA123.", "FlightBook"),
        ("Send Ben 12.50 euros.", "PaymentSend"),
        ("Refund what I got.", "send_money"),
        ("Save 'buy milk' as a note.", "NoteSave"),
        ("Invite x@y.example as a viewer.", "UserInvite"),
    ],
)
def test_other_words_for_it_ask_for_it_too(request_: str, tool: str) -> None:
    assert asks_for(Said(request_), tool, bound=True)


@pytest.mark.parametrize(
    "text",
    [
        "see https://e.example/?q=x",
        "see e.example",
        "![x](//e.example/a)",
        "[x](e)",
        "<img src=//e>",
        "mail eve@far.example",
        "to US133000000121212121212",
        "card 4237 4252 7456 2574",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "the password is x",
        "AKIAABCDEFGH",
        "dGhpcyBpcyBhIHNlY3JldCB0b2tlbiAxMjM0NTY",
        "tel:+491234567",
        "look at 203.0.113.9:8080",
        {"a": ["ok", "www.e.example"]},
    ],
)
def test_free_text_may_not_carry_what_leads_or_leaks(text: Any) -> None:
    assert carries(Said("mail a summary"), text)


PLAIN = ("All is well, e.g. the soup.", "Version 1.2.3", "We meet at 10:00 on 2024-05-19.", "", "7.2 percent")


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_carries_nothing(text: str) -> None:
    assert not carries(Said("mail a summary"), text)


VALUES = st.one_of(st.text(max_size=80), st.integers(), st.floats(), st.lists(st.text(max_size=9)))


@given(st.text(max_size=300), VALUES)
def test_no_text_and_no_value_is_an_exception(text: str, value: Any) -> None:
    one = Said(text)
    assert isinstance(one.names(value), bool)
    assert isinstance(one.fits(str(value)), bool)
    assert isinstance(one.commands(str(value)), bool)
    carries(one, value)


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=3, max_size=30))
def test_a_word_that_is_said_is_found_and_a_longer_one_is_not(word: str) -> None:
    if word.lower().isascii() and word.isalpha():
        assert not Said(f"say {word} now").names(f"{word}zz")


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a-",
        "a.",
        "1,111",
        "add from ",
        "'",
        "a@",
        "ht.tp",
        "www.",
        "x:/",
        "1 ",
        "{a}",
        "May ",
        "a=",
        "\n",
        "AA11 ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """Nothing is timed: what grows with the square of its length would not come to an end here."""
    long = piece * (90_000 // len(piece))
    one = Said(long)
    assert one.names(None)
    one.names(long[:9_000])
    one.names("ann@shop.example")
    one.names("http://a.example")
    one.fits(long)
    one.commands("x")
    carries(Said("mail a summary"), long)
    carries(one, "see e.example")


@pytest.mark.parametrize(
    ("template", "value", "fits"),
    [
        ("'{a} at {b}'", "Soup at noon", True),
        ("'{a} at {b}'", "at noon", False),
        ("'{a} at {b}'", "Soup at ", False),
        ("'Stay at {h}, {a}, from May'", "Stay at Blue, 1 Main Road, from May", True),
        ("'Stay at {h}, {a}, from May'", "Stay at Blue, from May", False),
        ("'Hotel: {h}'", "Hotel: x@e.example", False),
        ("'Hotel: {h}'", "Hotel: " + "x" * 81, False),
        ("'Hotel: {h}'", "Hotel: a\nb", False),
        ("'{a}{b}'", "anything", False),
        ("'no hole'", "no hole", False),
    ],
)
def test_a_template_is_filled_with_little(template: str, value: str, fits: bool) -> None:
    assert Said(f"write {template} there").fits(value) is fits

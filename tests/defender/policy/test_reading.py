"""Bundles: what they set, and what is said of those that are wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.policy.model import CHANNELS, CHANNELS_ABOUT, KEYS, Limits, Policy, flat
from defender.policy.reading import LARGEST, PolicyError, parsed
from runtime.vocab import Decision

WHOLE = b"""
version = 1
name = "ours"
serial = 7
[thresholds]
review = 0.4
block = 0.9
[weighing]
corroboration = 0
[channels.stranger]
weight = 0.5
[channels."irc.example"]
most = "review"
[tools.exec]
floor = "review"
[tools.web_fetch]
weight = 0.5
[rules]
"command.rm-root" = "block"
prompt.role-play = "allow"
[consent]
rules = []
[results]
review = "withhold"
[replies]
review = "hold"
[approvals]
seconds = 60
always = "session"
[events]
per_second = 5
[limits]
queue = 10
deadline_ms = 100
"""


def test_every_key_of_a_bundle_has_its_place_in_the_policy() -> None:
    policy = parsed(WHOLE, "p")
    assert (policy.name, policy.serial, policy.review, policy.block) == ("ours", 7, 0.4, 0.9)
    assert policy.channels["stranger"].weight == 0.5
    assert policy.channels["irc.example"].most is Decision.REVIEW
    assert policy.tool("exec").floor is Decision.REVIEW
    assert policy.tool("web_fetch").weight == 0.5
    assert policy.rules == {"command.rm-root": Decision.BLOCK, "prompt.role-play": Decision.ALLOW}
    assert (policy.consent, policy.result_review, policy.reply_review) == ((), "withhold", "hold")
    assert (policy.approval_seconds, policy.always, policy.events_per_second) == (60, "session", 5)
    assert policy.limits == Limits(queue=10, deadline_ms=100)


def test_a_bundle_that_sets_nothing_is_the_built_in_policy() -> None:
    assert parsed(b"version = 1", "p") == Policy()


def test_the_table_names_the_values_that_the_policy_has_where_nobody_sets_them() -> None:
    values = flat(Policy())
    for key in KEYS:
        if "*" not in key.path:
            assert values[key.path] == key.default, key.path


def test_every_way_is_explained() -> None:
    assert set(CHANNELS) == set(CHANNELS_ABOUT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p: version must be there: version = 1"),
        ("version = 2", "p: version must be the number 1, not 2"),
        ("version = true", "p: version must be the number 1, not true"),
        ("version = 1\nreviews = 1", "p: reviews is no key of a policy"),
        ("version = 1\nthresholds = 1", "p: thresholds must be a table, not 1"),
        ("version = 1\n[thresholds]\nreview = 2", "p: thresholds.review must be a number from 0 to 1, not 2"),
        ("version = 1\n[thresholds]\nreview = nan", "p: thresholds.review must be a number from 0 to 1, not nan"),
        ("version = 1\n[thresholds]\nrevew = 0.5", "p: thresholds.revew is no key of a policy"),
        ("version = 1\n[thresholds]\nblock = 0.1", "p: thresholds.block must not be below thresholds.review (0.5)"),
        ("version = 1\n[tools]\nexec = 1", "p: tools.exec must be a table, not 1"),
        ("version = 1\n[tools.exec]\nfloor = 'no'", "p: tools.exec.floor must be allow, review or block, not 'no'"),
        ("version = 1\n[tools.exec]\nceiling = 1", "p: tools.exec.ceiling is no key of a policy"),
        ("version = 1\n[tools.exec.floor]\na = 1", "p: tools.exec.floor must be allow, review or block, not a table"),
        ("version = 1\n[tools.'a b']\nfloor = 'allow'", "p: tools.'a b' is not a name that can be used here"),
        ("version = 1\n[channels.x]\nmost = 3", "p: channels.x.most must be allow, review or block, not 3"),
        ("version = 1\n[rules]\nx = 'maybe'", "p: rules.x must be allow, review or block, not 'maybe'"),
        ("version = 1\n[rules.'a b']\nx = 'allow'", "p: rules.'a b' is not a name that can be used here"),
        ("version = 1\n[approvals]\nalways = 'ever'", "p: approvals.always must be one of never, session, not 'ever'"),
        ("version = 1\n[limits]\nqueue = -1", "p: limits.queue must be a whole number from 0 to 100,000, not -1"),
        ("version = 1\n[limits]\nslice = 256", "p: limits.overlap must be less than limits.slice (256)"),
        ("version = 1\n[consent]\nrules = [1]", ("p: consent.rules must be a list of lines of "
         "at most 200 characters, not a list")),
        ("version = 1\nname = 1979-05-27", "p: name must be a line of at most 200 characters, not a time"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_path(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parsed(text.encode(), "p")
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version = ", "p: is not TOML: "),
        (b"\xff", "p: is not UTF-8 at byte 0"),
        (b"#" * (LARGEST + 1), "p: a policy has at most 262,144 bytes, not 262,145"),
        (b"version = 1\na = " + b"[" * 5_000, "p: is not TOML: "),
        (b"version = 1\n[rules]\n" + b"".join(b"r%d = 'allow'\n" % n for n in range(1_001)), "p: rules has more than"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parsed(data, "p")
    assert str(caught.value).startswith(said)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: b"version = 1\n" + text.encode()))
def test_any_bytes_are_a_policy_or_refused_with_one_sentence(data: bytes) -> None:
    said = "p: "
    try:
        parsed(data, "p")
    except PolicyError as exc:
        said = str(exc)
    assert said.startswith("p: ")
    assert "\n" not in said

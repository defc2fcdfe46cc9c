"""Flags under all the names that Gemini CLI 0.61 takes; what it makes of them was seen by running it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.app.spellings import Flag, canonical, spelled
from runtime.errors import UsageError

FLAGS = (
    Flag(("-p", "--prompt"), switch=False, dashes=True),
    Flag(("-m", "--model"), switch=False),
    Flag(("-y", "--yolo"), switch=True),
    Flag(("-d", "--debug"), switch=True),
    Flag(("--skip-trust",), switch=True),
    Flag(("--approval-mode",), switch=False),
    Flag(("--accept-raw-output-risk",), switch=True),
)
SPELLED = [
    ("--yolo", "--yolo"),
    ("--yolo=true", "--yolo"),
    ("--yolo true", "--yolo"),
    ("-y", "--yolo"),
    ("-y=true", "--yolo"),
    ("-y true", "--yolo"),
    ("--y", "--yolo"),
    ("--no-yolo", "--no-yolo"),
    ("--no-y", "--no-yolo"),
    ("--yolo=false", "--no-yolo"),
    ("--yolo false", "--no-yolo"),
    ("-y=false", "--no-yolo"),
    ("--skipTrust", "--skip-trust"),
    ("--skipTrust=false", "--no-skip-trust"),
    ("--no-skipTrust", "--no-skip-trust"),
    ("--acceptRawOutputRisk", "--accept-raw-output-risk"),
    ("--approvalMode yolo", "--approval-mode yolo"),
    ("--approvalMode=yolo", "--approval-mode=yolo"),
    ("--m x", "--model x"),
    ("-m=x", "--model=x"),
    ("-m true", "--model true"),
    ("-yd", "--yolo --debug"),
    ("-yp go", "--yolo --prompt=go"),
    ("--yolo 1", "--yolo 1"),
    ("--no-yolo true", "--no-yolo true"),
    ("go --yolo more", "go --yolo more"),
    ("-p --yolo", "--prompt --yolo"),
    ("-p -x", "--prompt=-x"),
    ("-m -y", "--model --yolo"),
    ("-p", "--prompt"),
    ("-- --yolo=true", "-- --yolo=true"),
]
UNKNOWN = ["--Yolo", "--approval_mode=x", "--no-yolo=true", "--noYolo", "--no-model", "-yolo", "-mx", "-dm5", "-", "--"]


@pytest.mark.parametrize(("words", "meant"), SPELLED)
def test_every_spelling_is_brought_to_one(words: str, meant: str) -> None:
    assert canonical(words.split(), FLAGS) == meant.split()


@pytest.mark.parametrize("word", UNKNOWN)
def test_what_is_no_spelling_stays_as_it_is(word: str) -> None:
    assert canonical([word], FLAGS) == [word]


@pytest.mark.parametrize("word", ["--yolo=1", "--yolo=", "--skipTrust=yes", "-y=TRUE"])
def test_a_switch_takes_true_or_false_and_nothing_else(word: str) -> None:
    with pytest.raises(UsageError, match=f"^{word}: .* takes true or false"):
        canonical([word], FLAGS)


WORDS = st.sampled_from(
    [*spelled(FLAGS), *UNKNOWN, "--yolo=true", "-p=x", "-yd", "true", "false", "go", "", "--prompt="]
)


@given(st.lists(WORDS, max_size=8))
def test_what_was_brought_to_one_spelling_stays_there(words: list[str]) -> None:
    once = canonical(words, FLAGS)
    assert canonical(once, FLAGS) == once

"""A redacted bundle holds no secret anywhere, in no form, and replays; what cannot be redacted is refused."""

import html
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from attrs import fields
from hypothesis import given, settings
from hypothesis import strategies as st

from debugger.bundle.errors import CannotExport
from debugger.bundle.prose import names_secret
from debugger.bundle.secrets import MOST, SHORT, Secrets, forms, told_in
from debugger.schema import is_secret
from runtime.step import Phase, advance
from runtime.step import events as ev
from runtime.step.replay import rebased
from tests.debugger.bundle.sessions import again, exported, held, talk
from tests.runtime.step.scenes import READ, REVIEW, Run, called, chunk, said

LONG = "x" * 20_000
WRITE = "write_file__c0"
SECRET = "hunter2/é\"\\'<&> z"
TEXTS = st.text(st.characters(codec="utf-8"), min_size=SHORT, max_size=30)
SECRETS = TEXTS.map(lambda text: f"Zq{text}9x").filter(lambda text: len(text.strip()) >= SHORT)


def shapes(secret: str) -> set[bytes]:
    """The ways in which a secret could stand in a file."""
    once = json.dumps(secret)[1:-1]
    made = {secret, once, json.dumps(once)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    made |= {quote(secret, safe=""), html.escape(secret), secret.encode().hex(), b64encode(secret.encode()).decode()}
    return {one.encode("utf-8", "surrogatepass") for one in made}


def clean(data: bytes, secret: str) -> None:
    """The file holds the secret in no shape."""
    assert not [one for one in shapes(secret) if one in data]


@settings(max_examples=40, deadline=None)
@given(SECRETS, st.data())
def test_a_secret_is_nowhere_in_the_file(secret: str, data: st.DataObject) -> None:
    """It stands under a secret key, in texts as it is and escaped, and in an answer that was cut anywhere."""
    text = f"first {secret} then {json.dumps({'a': secret})} and {quote(secret, safe='')} {secret.encode().hex()}"
    answer = f"I saw {secret}, and again {secret}."
    cuts = sorted(data.draw(st.lists(st.integers(1, len(answer) - 1), max_size=6, unique=True)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    output = b64encode(f"user:{secret}".encode()).decode() + html.escape(secret)
    run = talk(text, output, {"api_key": secret, "nested": [{"x": secret}], secret: 1}, *pieces)
    made = exported(run.steps)
    clean(made.data, secret)
    bundle, taken = again(made.data)
    assert bundle.manifest.redaction.done
    assert made.manifest.redaction.places >= 5
    assert "[secret-1]" in taken[-1].state.answer
    assert secret not in taken[-1].state.answer
    assert [one.step.kind for one in taken] == [step.kind for step in run.steps]


@settings(max_examples=30, deadline=None)
@given(SECRETS)
def test_what_the_runtime_knows_to_be_secret_is_replaced_wherever_it_stands(secret: str) -> None:
    made = exported(talk(f"my key is {secret}", f"KEY {secret}", {}, f"it is {secret}").steps, secret)
    clean(made.data, secret)
    again(made.data)


@settings(max_examples=30, deadline=None)
@given(st.lists(SECRETS, min_size=2, max_size=6, unique=True))
def test_the_same_secret_has_the_same_placeholder_and_others_have_others(secrets: list[str]) -> None:
    said_of = [f"token {secret} end" for secret in secrets]
    run = Run.opened()
    for number, text in enumerate((*said_of, *said_of)):
        run.say(text, f"m{number}").until(Phase.DONE)
    _, taken = again(exported(run.steps, *secrets).data)
    texts = [one.text for one in taken[-1].state.history if "token" in one.text]
    marks = [text.rpartition("token ")[2] for text in texts]
    assert marks[: len(secrets)] == marks[len(secrets) :]
    apart = [secret for secret in secrets if not any(secret in other for other in secrets if other != secret)]
    assert len(set(marks)) >= len(apart)


def test_without_redaction_nothing_is_changed_and_the_manifest_says_so() -> None:
    run = talk("hello", "ok", {"password": SECRET})
    made = exported(run.steps, SECRET, redact=False)
    assert not made.manifest.redaction.done
    bundle, taken = again(made.data)
    assert taken[-1].state.digest == run.state.digest
    assert bundle.manifest.redaction.line == "nothing was redacted"


def test_a_redacted_bundle_has_digests_of_its_own() -> None:
    run = talk("hello", "ok", {"password": SECRET})
    bundle, taken = again(exported(run.steps).data)
    assert taken[-1].state.digest != run.state.digest
    assert bundle.manifest.digest == taken[-1].state.digest.hex()
    turn = next(one for one in taken if one.kind.value == "call.run").state.turn
    assert turn is not None
    assert turn.calls[0].args == {"password": "[secret-1]"}


def test_values_that_say_nothing_and_placeholders_stay() -> None:
    args: dict[str, Any] = {
        "token": None,
        "secret": "",
        "password": True,
        "cookie": [],
        "credential": "[secret-7]",
        "api_key": SECRET,
    }
    _, taken = again(exported(talk("hello", "ok", args).steps).data)
    found = json.loads(json.dumps(taken[-1].state.history[1].parts[-1]["functionCall"]["args"]))
    assert found == {**args, "api_key": "[secret-8]"}


def test_short_secrets_numbers_and_whole_objects_are_replaced_where_they_stand() -> None:
    args = {"password": "abc", "token": 123_456_789, "credentials": {"user": "somebody", "pin": 12}, "n": 123_456_789}
    made = exported(talk("abc is a word; somebody came 123456789 times", "ok", args).steps)
    _, taken = again(made.data)
    call = taken[-1].state.history[1].parts[-1]["functionCall"]["args"]
    assert all(call[name].startswith("[secret-") for name in args)
    assert "abc is a word" in taken[-1].state.history[0].text
    assert b"somebody" not in made.data
    assert b"123456789" not in made.data


def test_an_edit_of_a_secret_argument_is_redacted() -> None:
    run = held()
    run.give(ev.Edited(f"calls.{READ}.args.token", SECRET, "ann", "try this"))
    run.give(ev.Edited.of((ev.Change(f"calls.{READ}.args", {"a": 1, "secret": SECRET}),), "ann"))
    made = exported(run.steps)
    clean(made.data, SECRET)
    _, taken = again(made.data)
    assert taken[-1].state.turn is not None
    assert taken[-1].state.turn.calls[0].args == {"a": 1, "secret": "[secret-1]"}


def test_session_key_actor_and_displays_are_redacted() -> None:
    made = exported(held().steps, "breakpoint 1", expressions=('tool.name == "breakpoint 1"',), key="breakpoint 1")
    assert b"breakpoint 1" not in made.data
    bundle, _ = again(made.data)
    assert bundle.stop is not None
    assert bundle.stop["displays"] == [{"expr": 'tool.name == "[secret-1]"', "value": False}]


def test_a_branch_and_a_pause_amid_an_answer_are_redacted() -> None:
    run = Run.opened().say("hello").until(Phase.STREAMING)
    run.give(
        said("my key hunt"), ev.Held("model.chunk", "pause", "ann"), ev.Released("ann", 1), said("er22 is it", "STOP")
    )
    run.answered().until(Phase.DONE)
    origin = next(step.after for step in run.steps if step.after.phase is Phase.TURN_END)
    branch = advance(rebased(origin, run.state), ev.Branched("b1", origin.seq, "ann"))
    run = Run(branch.after, [*run.steps, branch]).until(Phase.DONE)
    made = exported(run.steps, "hunter22")
    assert b"hunter22" not in made.data
    _, taken = again(made.data)
    assert "my key [secret-1] is it" in [one.state.answer for one in taken]
    assert taken[-1].state.branch == "b1"


@pytest.mark.parametrize("more", ["", LONG])
def test_a_fork_carries_a_state_without_secrets_whose_digest_is_its_own(more: str) -> None:
    """That of a large state is put aside as a whole."""
    parent = Run.opened().say(f"key {SECRET}{more}").until(Phase.STREAMING).give(said("see hunt"), said("er22 now"))
    origin = parent.state
    fork = ev.Forked(origin, "s1", origin.seq, origin.digest.hex(), "ann")
    child = Run(type(origin)("s2")).give(fork).until(Phase.DONE)
    made = exported(child.steps, SECRET, "hunter22")
    clean(made.data, SECRET)
    _, taken = again(made.data)
    event = taken[0].step.event
    assert isinstance(event, ev.Forked)
    assert event.digest == event.state.digest.hex() != fork.digest
    assert event.state.turn is not None
    pieces = [part["text"] for data in event.state.turn.chunks for part in data["candidates"][0]["content"]["parts"]]
    assert "hunter22" not in "".join(pieces)


def test_a_session_that_would_go_another_way_is_refused_with_the_record() -> None:
    with pytest.raises(CannotExport, match=r"record 3 of session s1 cannot be redacted, since .*another way"):
        exported(talk().steps, "message.screen")
    with pytest.raises(CannotExport, match=r"record \d+ of session s1 .*its event would be none any more"):
        exported(Run.opened(interactive=True).calling("read_file").judged(READ, verdict=REVIEW).steps, "review")
    with pytest.raises(CannotExport, match=r"record \d+ of session s1 .*its effects differs"):
        exported(Run.opened().calling("write_file").judged(WRITE).go(WRITE).steps, "compensable")


def test_a_name_that_is_secret_is_replaced_everywhere_and_goes_the_same_way() -> None:
    made = exported(talk().steps, "read_file")
    assert b"read_file" not in made.data
    again(made.data)


def test_a_result_that_only_a_secret_made_an_answer_of_is_refused_or_replays() -> None:
    """A text that vanishes with its secret must not become an empty answer, which would be asked for again."""
    run = Run.opened().say("hello").until(Phase.STREAMING).answered(said("hunter22", "STOP")).until(Phase.DONE)
    _, taken = again(exported(run.steps, "hunter22").data)
    assert taken[-1].state.answer == "[secret-1]"


def test_parts_that_are_no_texts_are_redacted_too() -> None:
    run = Run.opened().say("hello").until(Phase.STREAMING)
    run.answered(chunk({"executableCode": {"code": f"x = '{SECRET}'"}}), said("done")).until(Phase.DONE)
    clean(exported(run.steps, SECRET).data, SECRET)


def test_a_session_without_secrets_is_the_same_after_redaction() -> None:
    run = Run.opened().say("hello").until(Phase.STREAMING).answered(called("read_file")).until(Phase.DONE)
    _, taken = again(exported(run.steps).data)
    assert [one.step.after for one in taken] == [step.after for step in run.steps]


def test_too_many_secrets_are_refused() -> None:
    many = {"token": [f"secret number {n}" for n in range(MOST + 1)]}
    with pytest.raises(CannotExport, match="more than 1,000 different secrets"):
        exported(talk("hello", "ok", many).steps)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Authorization: Bearer abc.def", {"Bearer abc.def", "abc.def"}),
        ("> x-api-key: k123456", {"k123456"}),
        ("GET / HTTP/1.1\r\nCookie: a=b; c=d \r\nHost: x\r\n", {"a=b", "a=b; c=d"}),
        ("Content-Type: text/plain", set()),
        ("export GEMINI_API_KEY=abc123\nHOME=/root", {"abc123"}),
        ("AWS_SECRET_ACCESS_KEY='abc 123'", {"'abc 123'", "abc 123"}),
        ("see https://x.example/a?access_token=t0k&page=2", {"t0k"}),
        ("git clone https://ann:hunter2@example.org/x", {"hunter2"}),
        ('{"a": [{"clientSecret": "s3cret", "n": 1}]}', {"s3cret"}),
        ('{"properties": {"token": {"type": "string"}}}', set()),
        ("the token: please keep it", set()),
        ("{" * 5_000, set()),
        ("it said api_key: s3cr3t-9 and went on", {"s3cr3t-9"}),
        ("api_key: swordfish\nport: 80", {"swordfish"}),
        ("call it with api-key=s3cr3t, then wait", {"s3cr3t"}),
        ("(password=swordfish)", {"swordfish"}),
        ("my API key: AIza77, keep it.", {"AIza77"}),
        ("log in with token: ghp_4f5a.", {"ghp_4f5a"}),
        ("and botToken = '123:abc'", {"123:abc"}),
        ('the log has {"api_key": "sw0rd fish", "n": 1} in it', {"sw0rd fish"}),
        (r"twice: {\"token\": \"t0ken1\"}", {"t0ken1"}),
        ("curl -H 'Authorization: Bearer sk-abc.1' https://x", {"sk-abc.1"}),
        ('{"headers": "Authorization: Basic dXNlcjpwdw=="}', {"dXNlcjpwdw=="}),
        ("sent as Bearer eyJh.eyJz.Sf1K", {"eyJh.eyJz.Sf1K"}),
        ("run it with --password hunter22 --verbose", {"hunter22"}),
    ],
)
def test_a_text_tells_its_secrets_by_their_names(text: str, found: set[str]) -> None:
    assert set(told_in(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "The token: it is what the server gives you. A password: nobody knows it.",
        "Password: required, token: optional, secret: none",
        "the bearer of this letter, bearer authentication, Bearer tokens",
        "def login(self, password=None, token: str = '', secret: Optional[str] = None) -> None:",
        "self.token = self.config.token; token=get_token(); password = password; key = value",
        "if token == expected and secret != other: pass",
        "export it as token=$TOKEN, token=${TOKEN}, api_key=<your key>, password=***, --token <token>",
        "max_tokens=100000, tokens: 123456, keyboard: 10203040, monkey=banana1",
        "private_key: /home/ann/.ssh/id_ed25519, cookie: https://example.org/cookies1",
        "the secret of a good token: patience and an answer to it",
        '{"token": {"type": "string"}} and "token": "string"',
    ],
)
def test_ordinary_text_about_secrets_tells_none(text: str) -> None:
    assert list(told_in(f"so {text}")) == []


def test_a_hostile_text_is_searched_in_its_own_time() -> None:
    """Patterns that go back and forth would take hours for these."""
    hostile = ["authorization: x" + " " * 200_000 + "y", "A=" + "\t" * 200_000 + "b", "a://" + ":" * 200_000]
    hostile += [
        part * (200_000 // len(part)) for part in ("token-", "token='", 'token="\\', "token=x", "bearer ", "key: ")
    ]
    for text in hostile:
        list(told_in(text))


@pytest.mark.parametrize(("name", "secret"), [("GEMINI_API_KEY", True), ("TOKEN", True), ("KEYBOARD", False)])
def test_a_variable_is_secret_by_the_end_of_its_name(name: str, *, secret: bool) -> None:
    assert names_secret(name) is secret


def test_forms_begin_with_the_longest_and_are_long_enough_to_be_looked_for() -> None:
    found = forms(SECRET)
    assert SECRET in found
    assert [len(one) for one in found] == sorted((len(one) for one in found), reverse=True)
    assert min(map(len, found)) >= SHORT
    assert not Secrets.of(["short"[:4]]).known


def test_no_member_of_an_event_is_secret_by_its_name() -> None:
    """Else its placeholder, a text, might not fit its type."""
    assert not [one.name for kind in ev.EVENTS.values() for one in fields(kind) if is_secret(one.name)]

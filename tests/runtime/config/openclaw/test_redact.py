"""Secrets are taken out of everything that is shown, and come back unharmed with what is sent back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.issues import Rejected
from runtime.config.openclaw.redact import REDACTED, is_secret, redacted, redacted_text, restored, secrets
from tests.runtime.config.openclaw.homes import reference

SECRET = """
    gateway.auth.token gateway.auth.password gateway.remote.token hooks.token hooks.gmail.pushToken cron.webhookToken
    models.providers.x.apiKey models.providers.x.headers.X-Any models.providers.x.request.auth.value
    models.providers.x.request.tls.key models.providers.x.localService.env.ANY mcp.servers.x.env.ANY
    mcp.servers.x.headers.any hooks.mappings.*.sessionKey gateway.remote.edgeAuth.x proxy.proxyUrl
    agents.defaults.sandbox.ssh.identityData env.vars.OPENAI_API_KEY channels.telegram.botToken
    channels.x.accounts.a.signingSecret plugins.entries.x.config.privateKey channels.googlechat.serviceAccount
    tools.media.models.*.request.proxy.tls.passphrase channels.synology-chat.incomingUrl
""".split()
OPEN = """
    gateway.mode gateway.port agents.defaults.model.primary models.providers.x.models.*.maxTokens channels.x.maxTokens
    tools.web.fetch.maxChars secrets.providers.x.path desktop.host.passwordFile agents.entries.x.workspace
    models.providers.x.contextTokens models.providers.x.baseUrl
""".split()


@pytest.mark.parametrize("path", SECRET)
def test_the_value_at_this_path_is_a_secret(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize("path", OPEN)
def test_the_value_at_this_path_is_none(path: str) -> None:
    assert not is_secret(path)


def test_secrets_are_replaced_and_everything_else_stays() -> None:
    tree = reference()
    shown = redacted(tree)
    assert (shown["gateway"]["auth"]["token"], shown["hooks"]["token"]) == (REDACTED, REDACTED)
    assert shown["models"]["providers"]["google"]["apiKey"] == REDACTED
    assert secrets(tree) == ("hook-token-xyz", "gateway-token", "stub-key")
    assert restored(shown, tree) == tree


def test_variables_and_empty_values_are_no_secrets() -> None:
    tree = {"gateway": {"auth": {"token": "${TOKEN}", "password": " "}}, "channels": {"x": {"requireToken": True}}}
    assert redacted(tree) == tree


def test_of_a_reference_to_a_secret_only_the_id_is_hidden() -> None:
    reference_ = {"source": "env", "provider": "default", "id": "NAME"}
    tree = {"gateway": {"auth": {"token": reference_}}}
    shown = redacted(tree)
    assert shown == {"gateway": {"auth": {"token": {**reference_, "id": REDACTED}}}}
    assert restored(shown, tree) == tree
    with pytest.raises(Rejected, match=r"gateway\.auth\.token has changed"):
        restored({"gateway": {"auth": {"token": {**reference_, "provider": "other", "id": REDACTED}}}}, tree)


@pytest.mark.parametrize("address", ["https://u:p@host/x", "https://host/x?api_key=1", "https://[bad"])
def test_an_address_with_a_password_in_it_is_hidden(address: str) -> None:
    tree = {"models": {"providers": {"x": {"baseUrl": address}}}}
    assert redacted(tree)["models"]["providers"]["x"]["baseUrl"] == REDACTED
    assert restored(redacted(tree), tree) == tree


def test_the_file_of_an_account_is_hidden_as_a_whole() -> None:
    tree = {"channels": {"googlechat": {"serviceAccount": {"client_email": "a@b", "n": {"k": "deep-value"}}}}}
    assert redacted(tree) == {"channels": {"googlechat": {"serviceAccount": REDACTED}}}
    assert "deep-value" in secrets(tree)
    assert restored(redacted(tree), tree) == tree


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({"hooks": {"gmail": {"pushToken": REDACTED}}}, "hooks.gmail.pushToken"),
        ({"logging": {"file": REDACTED}}, "logging.file"),
        ({"bindings": [{"comment": REDACTED}]}, r"bindings\[0\].comment"),
    ],
)
def test_a_mark_where_there_is_nothing_to_keep_is_refused_with_its_path(tree: Any, where: str) -> None:
    with pytest.raises(Rejected, match=where):
        restored(tree, {**reference(), "logging": {"file": "/x"}, "bindings": [{"comment": "c"}]})


def test_items_of_a_list_keep_their_secrets_by_id_and_not_by_place() -> None:
    old = {"channels": {"x": {"list": [{"id": "a", "token": "ta"}, {"id": "b", "token": "tb"}]}}}
    new = {"channels": {"x": {"list": [{"id": "b", "token": REDACTED}, {"id": "a", "token": REDACTED}]}}}
    assert [item["token"] for item in restored(new, old)["channels"]["x"]["list"]] == ["tb", "ta"]
    strange = {"channels": {"x": {"list": [{"id": "c", "token": REDACTED}]}}}
    with pytest.raises(Rejected):
        restored(strange, old)


LEAVES = st.text(min_size=1, max_size=12) | st.booleans() | st.integers() | st.none()
NAMES = st.sampled_from(["token", "apiKey", "name", "password", "url", "baseUrl", "env", "headers", "x", "secret"])
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
)


@given(TREES)
def test_no_secret_is_left_and_all_come_back(tree: dict[str, Any]) -> None:
    shown = redacted({"channels": tree})
    assert redacted(shown) == shown
    assert set(secrets(shown)) <= {REDACTED}
    assert restored(shown, {"channels": tree}) == {"channels": tree}


@given(TREES, st.sampled_from([None, 1, 2]))
def test_a_text_is_shown_without_its_secrets_or_not_at_all(tree: dict[str, Any], indent: int | None) -> None:
    whole = {"channels": tree}
    shown = redacted_text(json.dumps(whole, indent=indent), whole, secrets(whole))
    if shown is not None:
        assert restored(json.loads(shown), whole) == whole
        assert not any(len(value) >= 6 and value in shown for value in secrets(whole))


def test_a_short_secret_is_found_as_a_whole_string_only() -> None:
    tree = {"gateway": {"auth": {"token": "T"}}, "agents": {"defaults": {"workspace": "/The/T"}}}
    shown = redacted_text(json.dumps(tree), tree, secrets(tree))
    assert shown is not None
    assert json.loads(shown) == {"gateway": {"auth": {"token": REDACTED}}, "agents": tree["agents"]}


def test_a_secret_that_is_written_in_another_way_hides_the_text() -> None:
    tree = {"gateway": {"auth": {"token": "secret-1"}}}
    assert redacted_text('{"gateway":{"auth":{"token":"\\u0073ecret-1"}}}', tree, secrets(tree)) is None


def test_a_secret_in_a_comment_is_hidden_too() -> None:
    tree = {"gateway": {"auth": {"token": "secret-1"}}}
    shown = redacted_text("{gateway:{auth:{token:'secret-1'}}} // was secret-1", tree, secrets(tree))
    assert shown == f"{{gateway:{{auth:{{token:'{REDACTED}'}}}}}} // was {REDACTED}"

"""The typed settings, the choice of a model, and why a gateway must not start."""

from typing import Any

import pytest

from runtime.config.openclaw import Flags, Settings, google_provider, start_faults, unsupported
from runtime.config.openclaw.model import ModelChoice
from runtime.config.openclaw.provider import DEFAULT_BASE, base_url
from runtime.errors import AuthError, InputError
from tests.runtime.config.openclaw.homes import HOME, MODEL, STATE, loaded, reference


def settings(tree: Any, flags: Flags | None = None, /, **environ: str) -> Settings:
    found = loaded(tree, None, flags, **environ)
    assert found.config is not None, found.issues
    return found.config


def provider(**own: Any) -> dict[str, Any]:
    return {"models": {"providers": {"google": own}}}


def test_the_reference_home_is_what_it_says() -> None:
    found = settings(reference())
    gateway = found.gateway
    assert (gateway.mode, gateway.port, gateway.bind, gateway.auth.effective) == ("local", 18789, "loopback", "token")
    assert (gateway.auth.token, gateway.chat_completions, gateway.responses) == ("gateway-token", True, True)
    assert (found.hooks.enabled, found.hooks.token, found.hooks.path) == (True, "hook-token-xyz", "/hooks")
    assert (found.agents.default, found.agents.workspace) == ("main", f"{HOME}/ws")
    assert found.tools.code_mode is False
    assert found.get("messages.ackReactionScope") == "direct"


def test_what_is_not_said_has_the_defaults_of_the_contract() -> None:
    found = settings({})
    assert (found.gateway.bind, found.gateway.pairing.auto_approve_local, found.gateway.chat_completions) == (
        "loopback",
        True,
        False,
    )
    queue = found.messages.queue
    assert (queue.mode, queue.cap, queue.drop, queue.debounce_seconds) == ("steer", 20, "summarize", 0.5)
    assert (found.session.scope, found.session.dm_scope, found.session.main_key) == ("per-sender", "main", "main")
    assert found.agents.workspace == f"{STATE}/workspace"
    assert found.hooks.path == "/hooks"


@pytest.mark.parametrize(
    ("auth", "flags", "environ", "effective", "token", "password"),
    [
        ({"token": "c"}, Flags(), {"OPENCLAW_GATEWAY_TOKEN": "e"}, "token", "c", None),
        ({}, Flags(), {"OPENCLAW_GATEWAY_TOKEN": "e"}, "token", "e", None),
        ({"token": "c"}, Flags(token="f"), {}, "token", "f", None),
        ({"password": "p"}, Flags(), {}, "password", None, "p"),
        ({"token": "c"}, Flags(), {"OPENCLAW_GATEWAY_PASSWORD": "p"}, "password", "c", "p"),
        ({"mode": "token", "token": "c"}, Flags(auth="none"), {}, "none", "c", None),
        ({"token": {"source": "env", "provider": "default", "id": "X"}}, Flags(), {"X": "x"}, "token", "x", None),
        ({"token": {"source": "file", "provider": "default", "id": "x"}}, Flags(), {}, "token", None, None),
        ({"token": " t "}, Flags(), {}, "token", "t", None),
    ],
)
def test_a_secret_is_the_flags_then_the_files_then_the_environments(
    auth: Any, flags: Flags, environ: dict[str, str], effective: str, token: str | None, password: str | None
) -> None:
    found = settings({"gateway": {"auth": auth}}, flags, **environ).gateway.auth
    assert (found.effective, found.token, found.password) == (effective, token, password)


def test_paths_in_the_file_are_made_whole() -> None:
    found = settings(
        {
            "agents": {"defaults": {"workspace": "~/w"}, "entries": {"main": {"workspace": "x"}}},
            "gateway": {"tls": {"enabled": True, "certPath": "c.pem"}, "controlUi": {"basePath": "ui/"}},
            "hooks": {"path": "in/"},
        }
    )
    assert found.agents.workspace == f"{HOME}/w"
    assert found.agent("main").workspace == f"{STATE}/x"
    assert found.gateway.tls.cert == f"{STATE}/c.pem"
    assert (found.gateway.control_ui.base_path, found.hooks.path) == ("/ui", "/in")


@pytest.mark.parametrize(
    ("agents", "default"),
    [
        ({}, "main"),
        ({"entries": {"x": {}}}, "x"),
        ({"entries": {"x": {}, "Y": {"default": True}}}, "y"),
        ({"ownership": "explicit", "entries": {"x": {}, "main": {}}}, "main"),
        (
            {"ownership": "explicit", "entries": {"x": {}, "y": {}}, "defaults": {"systemAgent": {"agentId": "y"}}},
            "y",
        ),
    ],
)
def test_one_agent_is_the_default(agents: Any, default: str) -> None:
    found = settings({"agents": agents})
    assert found.agents.default == default
    assert found.agent().id == default
    assert found.agent("nobody").model == ModelChoice()


def test_channels_and_cron_can_be_skipped_by_the_environment() -> None:
    tree = {"channels": {"telegram": {"enabled": True}}}
    assert set(settings(tree).channels) == {"telegram"}
    found = settings(tree, OPENCLAW_SKIP_CHANNELS="1", OPENCLAW_SKIP_CRON="1")
    assert (dict(found.channels), found.cron_enabled) == ({}, False)


FAULTS: list[tuple[Any, str]] = [
    ({}, "gateway.mode"),
    ({"gateway": {"mode": "remote"}}, "gateway.mode"),
    ({"gateway": {"mode": "local", "auth": {"token": "a", "password": "b"}}}, "gateway.auth.mode"),
    ({"gateway": {"mode": "local", "auth": {"mode": "password"}}}, "gateway.auth.password"),
    ({"gateway": {"mode": "local", "auth": {"mode": "trusted-proxy"}}}, "gateway.auth.trustedProxy"),
    ({"gateway": {"mode": "local", "bind": "lan", "auth": {"mode": "none"}}}, "gateway.bind"),
    ({"gateway": {"mode": "local", "bind": "lan"}}, "gateway.bind"),
    ({"gateway": {"mode": "local", "bind": "custom", "auth": {"token": "a"}}}, "gateway.customBindHost"),
    ({"gateway": {"mode": "local", "auth": {"token": "a"}}, "hooks": {"enabled": True}}, "hooks.token"),
    ({"gateway": {"mode": "local"}, "hooks": {"enabled": True, "token": "a", "path": "/"}}, "hooks.path"),
]


@pytest.mark.parametrize(("tree", "path"), FAULTS, ids=[path for _, path in FAULTS])
def test_a_gateway_does_not_start_with_this(tree: Any, path: str) -> None:
    """As the peer was seen to exit with 78, or to fail."""
    found = loaded(tree)
    assert found.config is not None
    assert path in [issue.path for issue in start_faults(found.config, found.origin.places)]


def test_the_reference_home_starts_and_an_unconfigured_one_when_it_is_allowed() -> None:
    for tree, allowed in ((reference(), False), ({}, True)):
        found = loaded(tree)
        assert found.config is not None
        assert start_faults(found.config, found.origin.places, allow_unconfigured=allowed) == ()


def test_the_model_of_the_reference_home_is_googles() -> None:
    found = google_provider(settings(reference()))
    assert (found.ref, found.base_url, found.key) == (f"google/{MODEL}", "http://127.0.0.1:18999/v1beta", "stub-key")
    assert (found.host, found.version) == ("http://127.0.0.1:18999", "v1beta")
    assert found.entry["maxTokens"] == 65536
    assert "stub-key" not in repr(found)


@pytest.mark.parametrize(
    ("own", "environ", "key"),
    [
        ({"apiKey": "c"}, {"GEMINI_API_KEY": "e"}, "c"),
        ({}, {"GEMINI_API_KEY": "e", "GOOGLE_API_KEY": "g"}, "e"),
        ({}, {"GOOGLE_API_KEY": "g"}, "g"),
        ({"apiKey": "${MINE}"}, {"MINE": "m"}, "m"),
        ({"apiKey": "${MINE}"}, {"GEMINI_API_KEY": "e"}, "e"),
        ({"apiKey": "GOOGLE_API_KEY"}, {"GOOGLE_API_KEY": "g", "GEMINI_API_KEY": "e"}, "g"),
        ({"apiKey": "secretref-env:MINE"}, {"MINE": "m"}, "m"),
        ({"apiKey": {"source": "env", "provider": "default", "id": "MINE"}}, {"MINE": "m"}, "m"),
    ],
)
def test_the_key_is_the_files_and_else_the_environments(own: Any, environ: dict[str, str], key: str) -> None:
    assert google_provider(settings(provider(**own), **environ)).key == key


@pytest.mark.parametrize("own", [{}, {"apiKey": "${MINE}"}, {"apiKey": {"source": "exec", "provider": "p", "id": "i"}}])
def test_without_a_key_the_error_names_the_setting(own: Any) -> None:
    with pytest.raises(AuthError, match=r"models\.providers\.google\.apiKey"):
        google_provider(settings(provider(**own)))


@pytest.mark.parametrize(
    ("wanted", "model"),
    [
        ("google/gemini-x", "gemini-x"),
        ("gemini-x", "gemini-x"),
        ("Google/gemini-3-pro", "gemini-3.1-pro-preview"),
        ("google/gemini-3-flash", "gemini-3-flash"),
        ("gem", "gemini-x"),
    ],
)
def test_a_model_may_be_named_in_several_ways(wanted: str, model: str) -> None:
    tree = {
        **provider(apiKey="k", models=[{"id": "gemini-3-flash", "name": "listed, so not renamed"}]),
        "agents": {"defaults": {"models": {"google/gemini-x": {"alias": "Gem"}}}},
    }
    assert google_provider(settings(tree), model=wanted).model == model


def test_an_agent_has_a_model_of_its_own_or_the_common_one() -> None:
    tree = provider(apiKey="k", models=[{"id": "first", "name": "F"}])
    assert google_provider(settings(tree)).model == "first"
    tree["agents"] = {
        "ownership": "explicit",
        "defaults": {"model": "google/common"},
        "entries": {"main": {}, "b": {"model": {"primary": "google/own", "fallbacks": ["google/c"]}}},
    }
    found = settings(tree)
    assert (google_provider(found, "main").model, google_provider(found, "b").model) == ("common", "own")
    assert found.agent("b").model.fallbacks == ("google/c",)


def test_a_provider_of_another_name_may_speak_googles_api() -> None:
    own = {"baseUrl": "https://x.example/g", "apiKey": "k", "api": "google-generative-ai", "models": []}
    found = google_provider(settings({"models": {"providers": {"mine": own}}}), model="mine/m")
    assert (found.ref, found.base_url, found.version) == ("mine/m", "https://x.example/g", "")


@pytest.mark.parametrize("wanted", ["openai/gpt", "google/", "/x", "nobody/x"])
def test_a_model_that_is_not_googles_is_refused(wanted: str) -> None:
    with pytest.raises(InputError):
        google_provider(settings(provider(apiKey="k")), model=wanted)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        (None, DEFAULT_BASE),
        ("https://generativelanguage.googleapis.com", DEFAULT_BASE),
        ("https://generativelanguage.googleapis.com/v1/", "https://generativelanguage.googleapis.com/v1"),
        ("http://127.0.0.1:18999/v1beta/", "http://127.0.0.1:18999/v1beta"),
        ("http://127.0.0.1:18999", "http://127.0.0.1:18999"),
        ("https://x.example/v1beta?a=b#c", "https://x.example/v1beta"),
    ],
)
def test_an_address_is_used_as_the_peer_uses_it(address: str | None, base: str) -> None:
    assert base_url(address, "p") == base


@pytest.mark.parametrize("address", ["x.example/v1beta", "ftp://x", "http://", "https://[bad", "http://x:99999"])
def test_an_address_that_is_no_url_is_refused_with_its_key(address: str) -> None:
    with pytest.raises(InputError, match=r"models\.providers\.google\.baseUrl"):
        google_provider(settings(provider(apiKey="k", baseUrl=address)))


def test_keys_without_effect_are_listed_once_each() -> None:
    tree = {
        **reference(),
        "browser": {"enabled": True, "profiles": {}},
        "gateway": {**reference()["gateway"], "tailscale": {"mode": "off"}, "auth": {"allowTailscale": True}},
        "agents": {"entries": {"main": {"sandbox": {"mode": "off"}, "name": "M"}}},
    }
    assert unsupported(tree) == (
        "gateway.auth.allowTailscale",
        "gateway.tailscale",
        "agents.entries.main.sandbox",
        "messages.ackReactionScope",
        "browser",
    )
    assert unsupported(loaded(reference()).resolved) == ("messages.ackReactionScope",)


def test_a_key_that_limits_something_and_has_no_effect_is_never_passed_over() -> None:
    tree = {
        "gateway": {"tls": {"enabled": True, "autoGenerate": True}},
        "agents": {"defaults": {"timeoutSeconds": 5, "heartbeat": {"every": "1h"}}},
        "channels": {"telegram": {}},
        "session": {"dmScope": "per-peer", "reset": {"mode": "daily"}},
        "tools": {"deny": ["exec"], "exec": {"security": "deny"}},
        "plugins": {"allow": []},
    }
    assert unsupported(tree) == (
        "gateway.tls.autoGenerate",
        "agents.defaults.timeoutSeconds",
        "agents.defaults.heartbeat",
        "channels",
        "session.dmScope",
        "session.reset",
        "tools.exec",
        "plugins",
    )

"""Where things are: the variables mean what they mean to the peer, which was asked for each path."""

from pathlib import Path

import pytest

from runtime.config.openclaw.paths import Flags, gateway_port, places
from runtime.errors import InputError

HOME = {"HOME": "/h"}


@pytest.mark.parametrize(
    ("environ", "flags", "config"),
    [
        ({}, Flags(), "/h/.openclaw/openclaw.json"),
        ({"OPENCLAW_PROFILE": "work"}, Flags(), "/h/.openclaw/openclaw.json"),
        ({"OPENCLAW_PROFILE": "default"}, Flags(), "/h/.openclaw/openclaw.json"),
        ({}, Flags(profile="work"), "/h/.openclaw-work/openclaw.json"),
        ({"OPENCLAW_STATE_DIR": "~/st"}, Flags(), "/h/st/openclaw.json"),
        ({"OPENCLAW_STATE_DIR": "~x/y"}, Flags(), "/cwd/~x/y/openclaw.json"),
        ({"OPENCLAW_STATE_DIR": " "}, Flags(), "/h/.openclaw/openclaw.json"),
        ({"OPENCLAW_STATE_DIR": "/st"}, Flags(profile="work"), "/st/openclaw.json"),
        ({"OPENCLAW_HOME": "/oh"}, Flags(), "/oh/.openclaw/openclaw.json"),
        ({"OPENCLAW_HOME": "~/oh"}, Flags(), "/h/oh/.openclaw/openclaw.json"),
        ({"OPENCLAW_CONFIG_PATH": "rel/c.json"}, Flags(), "/cwd/rel/c.json"),
        ({"OPENCLAW_CONFIG_PATH": "/a/c.json"}, Flags(config="~/d.json"), "/h/d.json"),
    ],
)
def test_the_file_is_where_the_peer_looks_for_it(environ: dict[str, str], flags: Flags, config: str) -> None:
    assert places({**HOME, **environ}, "/cwd", flags).config == Path(config)


@pytest.mark.parametrize(
    ("environ", "workspace"),
    [
        ({}, "/h/.openclaw/workspace"),
        ({"OPENCLAW_PROFILE": "work"}, "/h/.openclaw-work/workspace"),
        ({"OPENCLAW_STATE_DIR": "/st", "OPENCLAW_PROFILE": "work"}, "/st/workspace"),
        ({"OPENCLAW_WORKSPACE_DIR": "~/ws"}, "/h/ws"),
    ],
)
def test_the_workspace_follows_state_and_profile(environ: dict[str, str], workspace: str) -> None:
    assert places({**HOME, **environ}, "/cwd").workspace == Path(workspace)


@pytest.mark.parametrize("name", ["a b", "../x", "-x", "x" * 65])
def test_a_profile_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="OPENCLAW_PROFILE"):
        places({**HOME, "OPENCLAW_PROFILE": name}, "/cwd")
    with pytest.raises(InputError, match="--profile"):
        places(HOME, "/cwd", Flags(profile=name))


@pytest.mark.parametrize(
    ("flag", "variable", "configured", "profile", "port"),
    [
        (1, "2", 3, "work", 1),
        (None, "2", 3, "work", 2),
        (None, "host:2", 3, "", 2),
        (None, "[::1]:2", 3, "", 2),
        (None, "0", 3, "", 3),
        (None, "70000", 3, "", 3),
        (None, "x", 3, "", 3),
        (None, "", None, "work", 41984),
        (None, "", None, "", 18789),
    ],
)
def test_the_port_is_the_flags_then_the_variables_then_the_files(
    flag: int | None, variable: str, configured: int | None, profile: str, port: int
) -> None:
    """41984 is what the peer gives the profile `work`."""
    flags = Flags(port=flag)
    found = places({**HOME, "OPENCLAW_GATEWAY_PORT": variable, "OPENCLAW_PROFILE": profile}, "/cwd", flags)
    assert gateway_port(found, flags, configured) == port


def test_switches_are_read_as_the_peer_reads_them() -> None:
    found = places(
        {
            **HOME,
            "OPENCLAW_SKIP_PROVIDERS": "yes",
            "OPENCLAW_SKIP_CRON": "true",
            "OPENCLAW_HANDSHAKE_TIMEOUT_MS": "2500",
            "OPENCLAW_LOG_LEVEL": "DEBUG",
            "OPENCLAW_CONFIG_READONLY": "1",
            "OPENCLAW_INCLUDE_ROOTS": "/a:~/b:",
            "OPENCLAW_GATEWAY_TOKEN": " t ",
        },
        "/cwd",
    )
    assert (found.skip_channels, found.skip_cron, found.handshake_seconds) == (True, False, 2.5)
    assert (found.log_level, found.read_only, found.token) == ("debug", True, "t")
    assert found.include_roots == (Path("/a"), Path("/h/b"))


def test_secrets_are_not_shown() -> None:
    found = places({**HOME, "OPENCLAW_GATEWAY_TOKEN": "tok-1", "OPENCLAW_GATEWAY_PASSWORD": "pw-1"}, "/")
    shown = repr(found) + repr(Flags(token="tok-2", password="pw-2"))
    assert not any(secret in shown for secret in ("tok-1", "pw-1", "tok-2", "pw-2"))

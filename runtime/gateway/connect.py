"""What a client says of itself in `connect`, and what kinds of client there are (CONTRACT section 3). Decides nothing.

The order of the fields is the order in which errors are told.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from attrs import evolve, field, frozen

from runtime.gateway.devices import Proof, named_platform
from runtime.gateway.params import LISTED, NULL, Least, Length, Text, decoder
from runtime.gateway.scopes import OPERATOR

COPILOT: Final = "openclaw-browser-copilot"
CONTROL_UI: Final = "openclaw-control-ui"
TUI: Final = "openclaw-tui"
APPS: Final = frozenset({"openclaw-macos", "openclaw-linux", "openclaw-ios", "openclaw-android"})

# fmt: off
ClientId = Literal[
    "webchat-ui", "openclaw-control-ui", "openclaw-browser-copilot", "openclaw-tui", "webchat", "cli", "gateway-client",
    "openclaw-macos", "openclaw-linux", "openclaw-ios", "openclaw-watchos", "openclaw-android", "node-host",
    "openclaw-worker", "test", "fingerprint", "openclaw-probe",
]
# fmt: on
ClientMode = Literal["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"]


@frozen(kw_only=True)
class Client:
    """`client`: which program this is, by its own word."""

    id: Annotated[ClientId, LISTED]
    display_name: Text | None = None
    version: Text
    build_id: Text | None = None
    platform: Text
    device_family: Text | None = None
    model_identifier: Text | None = None
    time_zone: Annotated[str, Length(1, 64)] | None = None
    mode: Annotated[ClientMode, LISTED]
    instance_id: Text | None = None


@frozen(kw_only=True)
class Credentials:
    """`auth`. Each may be there and empty."""

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)
    bootstrap_token: str | None = field(default=None, repr=False)
    approval_runtime_token: str | None = field(default=None, repr=False)
    agent_runtime_identity_token: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class CatalogOfKey:
    """`modelCatalog`, for a session by its key or for the default one."""

    session_key: Text | None = None


@frozen(kw_only=True)
class CatalogOfId:
    """`modelCatalog`, for a session by its short id."""

    short_id: Text
    slug_hint: Text | None = None


@frozen(kw_only=True)
class Connect:
    """The params of `connect`."""

    min_protocol: Annotated[int, Least(1)]
    max_protocol: Annotated[int, Least(1)]
    client: Client
    caps: tuple[Text, ...] = ()
    commands: tuple[Text, ...] = ()
    permissions: Mapping[str, bool] | None = None
    computer_use: Annotated[Any, NULL] = None
    path_env: str | None = None
    role: Text = OPERATOR
    scopes: tuple[Text, ...] = ()
    model_catalog: CatalogOfKey | CatalogOfId | None = None
    device: Proof | None = None
    auth: Credentials = Credentials()
    locale: str | None = None
    user_agent: str | None = None


connect_params: Final = decoder(Connect, null_is_empty=False)


def is_screen(client: Client) -> bool:
    """The two programs that are the operator's own screen. They come with a device, or not at all."""
    return client.id in (CONTROL_UI, TUI)


def is_webchat(client: Client) -> bool:
    """Programs that are pages, whatever they call themselves."""
    return client.mode == "webchat" or client.id == "webchat-ui"


def is_worker(params: object) -> bool:
    """Whether somebody claims to be a worker. Workers speak another protocol, which is not served."""
    if not isinstance(params, dict):
        return False
    client = params.get("client")
    named = isinstance(client, dict) and (client.get("id") == "openclaw-worker" or client.get("mode") == "worker")
    return named or params.get("role") == "worker"


def named(client: Client) -> Client:
    """A client with its platform under the name that is kept: older nodes send the name of their system."""
    platform, family = named_platform(client.id, client.mode, client.platform, client.device_family)
    return evolve(client, platform=platform, device_family=family)

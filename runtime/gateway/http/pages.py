"""What a browser sees: one page for every path that is nothing else, and the settings of a page that runs elsewhere.

The page is whole in itself: no script, nothing from other places, and a policy that would not let it load any
(CONTRACT section 10: root, unknown paths, /assets).
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any, Final

from runtime.gateway.http.access import Visit
from runtime.gateway.http.wire import HTML, NOT_FOUND, Answer, Incoming, as_json

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem;color:#222;"
    "background:#fff}code{background:#eee;padding:.1em .3em;border-radius:3px}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code{background:#333}}"
)
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDED: Final = (
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", POLICY),
)
FILES: Final = frozenset(
    "js mjs css map json txt xml ico png jpg jpeg gif svg webp avif woff woff2 ttf otf wasm webmanifest mp3 mp4".split()
)
"""Endings of files that a page would load: where there is none, saying so beats a page."""
PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>twinstep gateway</title>
<style>{style}</style>
</head>
<body>
<h1>twinstep gateway</h1>
<p>This gateway is <strong>{state}</strong>.</p>
<p>Clients speak WebSocket on this address. <code>twinstep status</code> shows more, and so does
<code>GET /readyz</code>. The HTTP interfaces are described in <a href="{base}/openapi.json">openapi.json</a>.</p>
</body>
</html>
"""


def page(desk: "Desk", incoming: Incoming, settings: Any) -> Answer:
    """The answer to a GET that no route has."""
    ui = settings.gateway.control_ui
    last = incoming.path.rpartition("/")[2]
    ending = last.rpartition(".")[2].lower() if "." in last else ""
    if not ui.enabled or ending in FILES or _below_assets(incoming.path, ui.base_path):
        return NOT_FOUND
    busy = "running, but waits for its disk" if desk.ready else "running, but cannot ask a model"
    state = "about to stop" if desk.draining else busy if desk.failing() else "ready"
    text = PAGE.format(style=STYLE, state=state, base=escape(ui.base_path))
    return Answer(200, text.encode(), HTML, (("cache-control", "no-cache"),))


def _below_assets(path: str, base: str) -> bool:
    inner = path.removeprefix(base)
    return inner.startswith("/assets/") and inner != "/assets/"


async def config(visit: Visit) -> Answer:
    """GET /control-ui-config.json: what a page needs to know before it connects."""
    desk = visit.desk
    agents = desk.extras["models"].agents
    name = str(agents.get(desk.directory.default_agent, {}).get("name") or "Assistant")
    told = {
        "basePath": visit.settings.gateway.control_ui.base_path,
        "assistantName": name,
        "assistantAvatar": name[:1].upper(),
        "assistantAvatarSource": None,
        "assistantAvatarStatus": None,
        "assistantAvatarReason": None,
        "assistantAgentId": desk.directory.default_agent,
        "serverVersion": desk.version,
        "serverBuildId": desk.policy.build_id,
        "embedSandbox": "strict",
        "allowExternalEmbedUrls": False,
        "automaticallyFetchFavicons": False,
        "communityInvite": False,
        "terminalEnabled": False,
        "cliAgentsEnabled": False,
        "pluginAssetsRequireAuth": True,
        "pluginFrameGrants": [],
    }
    return as_json(told, 200, ("cache-control", "no-cache"))

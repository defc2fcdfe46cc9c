"""Settings as the reference home has them, in files that exist only in memory."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.config.openclaw import Flags, Loaded, load

HOME = "/home/u"
STATE = f"{HOME}/.openclaw"
FILE = f"{STATE}/openclaw.json"
MODEL = "gemini-3.1-pro-preview"
KEY = b"k" * 32


def reference() -> dict[str, Any]:
    """The settings of acceptance/openclaw/reference_home.py."""
    return {
        "gateway": {
            "mode": "local",
            "port": 18789,
            "bind": "loopback",
            "auth": {"mode": "token", "token": "gateway-token"},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
        },
        "hooks": {"enabled": True, "token": "hook-token-xyz", "path": "/hooks"},
        "agents": {"defaults": {"model": {"primary": f"google/{MODEL}"}, "workspace": f"{HOME}/ws"}},
        "models": {
            "providers": {
                "google": {
                    "baseUrl": "http://127.0.0.1:18999/v1beta",
                    "apiKey": "stub-key",
                    "api": "google-generative-ai",
                    "models": [
                        {
                            "id": MODEL,
                            "name": "Gemini 3.1 Pro (stub)",
                            "reasoning": False,
                            "input": ["text", "image"],
                            "contextWindow": 1048576,
                            "maxTokens": 65536,
                        }
                    ],
                }
            }
        },
        "messages": {"ackReactionScope": "direct"},
        "tools": {"codeMode": False},
    }


def loaded(tree: Any, files: Mapping[str, Any] | None = None, flags: Flags | None = None, /, **environ: str) -> Loaded:
    """Load a tree (or a text, or None for no file); `files` are others, below the folder of the settings."""
    texts = {FILE: tree, **{f"{STATE}/{name}": content for name, content in (files or {}).items()}}

    def read(path: Path) -> str | None:
        content = texts.get(str(path))
        return content if content is None or isinstance(content, str) else json.dumps(content)

    return load({"HOME": HOME, **environ}, "/work", flags, key=KEY, read=read)

"""How much a model is asked to think: levels of a session as the API's `thinkingConfig`. Pure.

The levels and what each model makes of them are the gateway peer's (observed); where nobody chose a level, the request
is that of Gemini CLI (API section "Request body"). A level that a model does not have is taken for the next one that it
has.

Words for a level are the peer's as well: `none` is `off`, `think hard` is `low`, and so on.
"""

from collections.abc import Mapping
from typing import Any, Final

BY_BUDGET: Final = frozenset({"gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"})
BY_LEVEL: Final = frozenset(
    {
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview",
        "gemini-3.1-pro-preview-customtools",
        "gemini-3.1-flash-lite-preview",
        "gemini-3.5-flash-lite",
        "gemini-3.8-flash",
        "gemma-4-31b-it",
        "gemma-4-26b-a4b-it",
    }
)
"""The peer lists names, not families: a name that it does not know gets neither a budget nor a level of thought."""
LEVELS: Final = ("off", "minimal", "low", "medium", "adaptive", "high")
BEYOND: Final = frozenset({"xhigh", "max", "ultra"})
"""Levels that only models of others have; here the highest takes their place."""
_SPELLED: Final = {
    "off": "none",
    "minimal": "min think",
    "low": "on enable enabled thinkhard",
    "medium": "mid med thinkharder harder",
    "high": "ultrathink thinkhardest highest",
    "adaptive": "auto",
    "xhigh": "extrahigh",
}
WORDS: Final[Mapping[str, str]] = {word: level for level, words in _SPELLED.items() for word in words.split()}
"""Other words for levels, without spaces, hyphens and underscores."""
FEW: Final = ("off", "low", "adaptive", "high")
"""The levels of the models that know only two."""
BUDGETS: Final[Mapping[str, int]] = {"minimal": 128, "low": 2_048, "medium": 8_192, "adaptive": -1, "high": 24_576}
PRO_BUDGET: Final = 32_768
THOUGHTS: Final[Mapping[str, Any]] = {"includeThoughts": True}


def level_named(word: str) -> str | None:
    """Return the level that a word stands for, also one that only models of others have, or None."""
    plain = "".join(word.lower().replace("-", " ").replace("_", " ").split())
    level = WORDS.get(plain, plain)
    return level if level in LEVELS or level in BEYOND else None


def levels_of(model: str) -> tuple[str, ...]:
    """Return the levels of a model, by its name in the API."""
    return FEW if _few(model) else LEVELS


def thinking(model: str, level: str) -> dict[str, Any] | None:
    """Return the member `thinkingConfig` for a level ("" for none chosen), or None for one to leave out."""
    level = "high" if level in BEYOND else level if level in LEVELS else ""  # a journal or a home may name any
    if model in BY_BUDGET:
        return _budget(model, level)
    if model not in BY_LEVEL:
        return None if level == "off" else {**THOUGHTS}
    if level == "adaptive":
        return {**THOUGHTS}
    if level == "off":
        return {"thinkingLevel": "LOW" if _few(model) else "MINIMAL"}
    if _few(model):
        level = {"minimal": "low", "medium": "high"}.get(level, level)
    return {**THOUGHTS, "thinkingLevel": (level or "high").upper()}


def _budget(model: str, level: str) -> dict[str, Any] | None:
    pro = model.endswith("-pro")
    if level == "off":
        return None if pro else {"thinkingBudget": 0}
    most = PRO_BUDGET if pro and level == "high" else BUDGETS[level or "medium"]
    return {**THOUGHTS, "thinkingBudget": most}


def _few(model: str) -> bool:
    return model.startswith("gemini-3") and "-pro" in model

"""What an OpenAI request wants of the model: functions of the client, a choice among them, sampling. Pure.

Rules as observed (CONTRACT section 10): without a choice, or with `none`, the model is offered nothing (the real one
keeps functions behind a search then and takes no direct call: traces/http/chat_completions_tools); a choice that needs
a call narrows what is
offered and is checked at the end; a function may not bear the name of another, or of a tool of the agent. Penalties are
checked and not passed on: not every Gemini model takes them. A seed or a limit that the API has no place for is left
out or cut to what models give. Members that decide nothing here (`strict`) are passed over.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from runtime.gateway.http.wire import refuse
from runtime.vocab import JsonObject, Terms, Toolset, encode

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
MOST_TOOLS: Final = 128
MOST_OUTPUT: Final = 65_536
"""Tokens of the longest answer that any model gives; the API refuses to be asked for more."""
SEED: Final = 2**31
"""The API takes seeds of 32 bits."""
JSON: Final = "application/json"
WRONG: Final = "Invalid tools/tool_choice: "


@frozen
class Wish:
    """How a request wants to be answered. One of the functions in `must` has to be called, if there are any."""

    terms: Terms | None = None
    must: tuple[str, ...] = ()
    pinned: bool = False

    def unmet(self, called: Sequence[JsonObject]) -> str | None:
        """Return what an answer with these calls lacks, in one sentence, or None."""
        if not self.must or any(call["name"] in self.must for call in called):
            return None
        if self.pinned:
            return f"tool_choice required a {self.must[0]} tool call, but the agent did not produce one"
        return "tool_choice=required was not satisfied by the agent response"


def wish_of(functions: Sequence[JsonObject], choice: Any, extra: JsonObject, ours: Callable[[str], bool]) -> Wish:
    """Return what is wanted: functions with `name`, `description` and `parameters`, a choice, members of
    `generationConfig`. `ours` says whether a name is that of a tool of the agent. Raises Halt.
    """
    offered = {name: one for one in functions if (name := _named(one, ours))}
    if len(offered) < len(functions):
        refuse(f"{WRONG}two functions have the same name")
    if len(offered) > MOST_TOOLS:
        refuse(f"{WRONG}{len(offered)} functions are more than {MOST_TOOLS}")
    must = _must(choice, tuple(offered))
    names = () if choice in (None, "none") else must or tuple(offered)
    if not names and not extra:
        return Wish()
    declared = encode([_declaration(name, offered[name]) for name in names]).decode()
    calling = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [*must]}} if must else None
    tools = Toolset(names=names, declarations=declared)
    return Wish(Terms(tools, calling, extra or None), must, pinned=isinstance(choice, Mapping))


def _named(function: JsonObject, ours: Callable[[str], bool]) -> str:
    name = str(function["name"]).strip()
    if not NAME.fullmatch(name):
        refuse(f"{WRONG}{name[:80]!r} cannot be the name of a function: letters, digits and _ . : - are taken")
    if ours(name):
        refuse(f"{WRONG}{name} is the name of a tool of the agent")
    return name


def _declaration(name: str, function: JsonObject) -> JsonObject:
    about, parameters = function.get("description"), function.get("parameters")
    made: dict[str, Any] = {"name": name, "description": about if isinstance(about, str) else ""}
    return {**made, "parametersJsonSchema": parameters} if isinstance(parameters, Mapping) else made


def _must(choice: Any, offered: tuple[str, ...]) -> tuple[str, ...]:
    """The functions of which one has to be called. Raises Halt for a choice that makes no sense."""
    if choice in (None, "auto", "none"):
        return ()
    if choice == "required":
        return offered or refuse(f"{WRONG}tool_choice=required but no tools were provided")
    if not isinstance(choice, Mapping) or choice.get("type") != "function":
        refuse(f"{WRONG}tool_choice must be auto, none, required or a function")
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or name.strip() not in offered:
        refuse(f"{WRONG}tool_choice requested unknown tool: {str(name)[:80]}")
    return (name.strip(),)


def sampling(given: JsonObject, *limits: str) -> dict[str, Any]:
    """Return the members of `generationConfig` that a request sets. Of its `limits` of output the first one counts."""
    made: dict[str, Any] = {}
    for ours, theirs in (("temperature", "temperature"), ("topP", "top_p")):
        if given.get(theirs) is not None:
            made[ours] = given[theirs]
    limit = next((given[name] for name in limits if given.get(name) is not None), None)
    if limit is not None:
        made["maxOutputTokens"] = min(int(limit), MOST_OUTPUT)
    seed = given.get("seed")
    if seed is not None and -SEED <= seed < SEED:
        made["seed"] = int(seed)
    stop = given.get("stop")
    if stop:
        made["stopSequences"] = [stop] if isinstance(stop, str) else [*stop]
    return made


def formatted(wanted: Any, schema: Any, path: str) -> dict[str, Any]:
    """Return the members of `generationConfig` for a format and the schema that comes with it. Raises Halt."""
    if wanted is None:
        return {}
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind not in ("text", "json_object", "json_schema"):
        refuse(f"Invalid {path}: {path}.type must be text, json_object, or json_schema")
    if kind == "text":
        return {}
    if kind == "json_object" or schema is None:
        return {"responseMimeType": JSON}
    if not isinstance(schema, Mapping):
        refuse(f"Invalid {path}: the schema must be an object")
    return {"responseMimeType": JSON, "responseJsonSchema": schema}

"""The manifest for VS Code knows the arguments that there are, and starts what there is."""

import json
from pathlib import Path

import pytest
from attrs import fields

from debugger.dap import requests as r
from debugger.dap.decoding import wire_name
from debugger.dap.listing import NAME
from runtime.app.dap import parser

MANIFEST = json.loads((Path(r.__file__).parent / "vscode" / "package.json").read_text("utf-8"))["contributes"]


@pytest.mark.parametrize(("request_", "kind"), [("attach", r.Attach), ("launch", r.Launch)])
def test_the_manifest_offers_the_arguments_that_there_are(request_: str, kind: type[r.Attach]) -> None:
    (debugger,) = MANIFEST["debuggers"]
    offered = debugger["configurationAttributes"][request_]["properties"]
    assert set(offered) == {wire_name(one.name) for one in fields(kind)}
    for initial in debugger["initialConfigurations"]:
        assert set(initial) - {"type", "request", "name"} <= set(offered)


def test_the_manifest_starts_the_server_and_lets_breakpoints_stand_in_the_listing() -> None:
    (debugger,) = MANIFEST["debuggers"]
    command, *flags = debugger["runtimeArgs"]
    assert (debugger["runtime"], command) == ("twinstep", "dap")
    assert parser().parse_args(flags).stdio
    (language,) = MANIFEST["languages"]
    assert NAME in language["filenames"]
    assert MANIFEST["breakpoints"] == [{"language": language["id"]}]

"""agents.*, agent.identity.get, users.self: agents are entries of the settings, and their files are in a workspace."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.rules import normal_id
from runtime.gateway import workspace
from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.agents import discard
from tests.fakes.gateway import MODEL
from tests.fakes.settings import Configured, configured

ROW = (
    "id workspace workspaceGit agentRuntime thinkingLevels thinkingOptions thinkingDefault model defaultPermissionMode"
).split()
"""What trace methods/agents_list shows of an agent."""


async def names(made: Configured) -> list[str]:
    return [row["id"] for row in (await made.house.call("agents.list"))["agents"]]


async def test_the_list_has_the_agent_that_is_always_there(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("agents.list")
        assert (answer["defaultId"], answer["ownership"], answer["selectionRequired"]) == ("main", "sole", False)
        (row,) = answer["agents"]
        assert row.keys() >= set(ROW)
        assert (row["id"], row["workspace"], row["workspaceGit"]) == ("main", str(tmp_path / "ws"), False)
        assert row["model"] == {"primary": f"google/{MODEL}"}


async def test_a_workspace_with_git_is_said_to_have_it(tmp_path: Path) -> None:
    (tmp_path / "ws" / ".git").mkdir(parents=True)
    async with configured(tmp_path) as made:
        assert (await made.house.call("agents.list"))["agents"][0]["workspaceGit"] is True


async def test_a_new_agent_is_an_entry_of_the_settings(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("agents.create", name="Helper Bot", emoji="🤖", model=f"google/{MODEL}")
        place = str(tmp_path / "ws" / "helper-bot")
        assert answer == {
            "ok": True,
            "agentId": "helper-bot",
            "name": "Helper Bot",
            "workspace": place,
            "model": f"google/{MODEL}",
        }
        assert made.file["agents"]["entries"]["helper-bot"] == {
            "name": "Helper Bot",
            "identity": {"name": "Helper Bot", "emoji": "🤖"},
            "workspace": place,
            "model": f"google/{MODEL}",
        }
        assert await names(made) == ["main", "helper-bot"]


async def test_with_a_second_agent_the_first_stays_whose_bare_keys_are(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.create", name="another")
        assert made.house.desk.directory.default_agent == "main"
        assert (await made.house.call("agents.list"))["ownership"] == "explicit"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is taken": ({"name": "Main"}, 'agent "main" already exists'),
    "a name of signs only": ({"name": "..."}, "no valid id characters"),
    "a name of blanks": ({"name": "  "}, "agent name is required"),
    "a model of another provider": ({"name": "x", "model": "nope/nope"}, "unknown model: nope/nope"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_agent_is_not_made(tmp_path: Path, case: str) -> None:
    params, why = REFUSED[case]
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match=why):
            await made.house.call("agents.create", **params)
        assert await names(made) == ["main"]


async def test_members_of_an_agent_change_and_null_gives_up_its_model(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.create", name="helper", model=f"google/{MODEL}", emoji="🤖")
        answer = await made.house.call("agents.update", agentId="helper", name="Newer", model=None)
        entry = made.file["agents"]["entries"]["helper"]
        assert answer == {"ok": True, "agentId": "helper"}
        assert (entry["name"], entry["identity"]) == ("Newer", {"name": "Newer", "emoji": "🤖"})
        assert "model" not in entry


@pytest.mark.parametrize("method", ["agents.update", "agents.delete", "agents.files.list"])
async def test_an_agent_that_there_is_not_is_not_found(tmp_path: Path, method: str) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match='agent "nope" not found'):
            await made.house.call(method, agentId="nope")


async def test_a_deleted_agent_loses_entry_sessions_and_workspace(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.create", name="helper")
        (tmp_path / "ws" / "helper").mkdir(parents=True)
        await made.house.turn("agent:helper:main", "hello", "r1")
        answer = await made.house.call("agents.delete", agentId="helper")
        assert answer["removed"] == [{"path": str(tmp_path / "ws" / "helper"), "method": "trash"}]
        assert await names(made) == ["main"]
        assert made.house.desk.directory.get("agent:helper:main") is None
        assert not (tmp_path / "ws" / "helper").exists()
        assert len(list((made.path.parent / "trash").iterdir())) == 1


async def test_files_may_be_kept_when_an_agent_is_deleted(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.create", name="helper")
        (tmp_path / "ws" / "helper").mkdir(parents=True)
        answer = await made.house.call("agents.delete", agentId="helper", deleteFiles=False)
        assert (answer["removed"], answer["failed"]) == ([], [])
        assert (tmp_path / "ws" / "helper").is_dir()


async def test_the_only_agent_cannot_be_deleted(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match="the only one"):
            await made.house.call("agents.delete", agentId="main")


async def test_bindings_of_a_deleted_agent_go_with_it(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.create", name="helper")
        await made.patch(bindings=[{"agentId": "helper", "match": {"channel": "telegram"}}])
        answer = await made.house.call("agents.delete", agentId="helper", deleteFiles=False)
        assert answer["removedBindings"] == 1
        assert not made.file.get("bindings")


def test_a_folder_that_others_need_is_not_discarded(tmp_path: Path) -> None:
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    told = discard(tmp_path / "one", tmp_path / "trash" / "x", [inner])
    assert told == {"failed": [{"path": str(tmp_path / "one"), "reason": "it holds what others need"}]}
    assert inner.is_dir()


# --- files


async def test_files_are_listed_whether_they_are_there_or_not(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        (tmp_path / "ws").mkdir()
        (tmp_path / "ws" / "TOOLS.md").write_text("x", "utf-8")
        answer = await made.house.call("agents.files.list", agentId="main")
        rows = {row["name"]: row for row in answer["files"]}
        assert list(rows) == ["AGENTS.md", "SOUL.md", "USER.md", "MEMORY.md", "TOOLS.md"]
        assert (rows["TOOLS.md"]["missing"], rows["TOOLS.md"]["size"]) == (False, 1)
        assert (rows["AGENTS.md"]["missing"], rows["AGENTS.md"]["expectedAbsent"]) == (True, False)


async def test_a_file_is_written_and_read_with_its_hash(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        written = await made.house.call("agents.files.set", agentId="main", name="USER.md", content="hällo")
        read = await made.house.call("agents.files.get", agentId="main", name="USER.md")
        assert written == {"ok": True, **read}
        assert (read["file"]["content"], read["file"]["size"]) == ("hällo", 6)
        assert (tmp_path / "ws" / "USER.md").read_text("utf-8") == "hällo"


async def test_a_file_that_somebody_else_has_changed_is_not_overwritten(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        call = made.house.call
        first = await call("agents.files.set", agentId="main", name="USER.md", content="one")
        await call("agents.files.set", agentId="main", name="USER.md", content="two")
        with pytest.raises(GatewayError, match="changed since it was read") as caught:
            await call(
                "agents.files.set",
                agentId="main",
                name="USER.md",
                content="three",
                expectedHash=first["file"]["hash"],
            )
        assert caught.value.details is not None
        assert caught.value.details["type"] == "agent_file_conflict"
        assert (tmp_path / "ws" / "USER.md").read_text("utf-8") == "two"


@given(st.text(max_size=20).filter(lambda name: name not in workspace.NAMES))
def test_no_other_name_leads_anywhere(name: str) -> None:
    with pytest.raises(GatewayError, match="unsupported file"):
        workspace.content(Path("/"), name)
    with pytest.raises(GatewayError, match="unsupported file"):
        workspace.write(Path("/"), name, "x")


def test_a_link_out_of_the_workspace_is_neither_read_nor_written(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret", "utf-8")
    inside = tmp_path / "ws"
    inside.mkdir()
    (inside / "USER.md").symlink_to(tmp_path / "secret")
    with pytest.raises(GatewayError, match="unsafe workspace file"):
        workspace.content(inside, "USER.md")
    with pytest.raises(GatewayError, match="unsafe workspace file"):
        workspace.write(inside, "USER.md", "x")
    assert workspace.described(inside, "USER.md")["missing"] is True
    assert (tmp_path / "secret").read_text("utf-8") == "a secret"


def test_a_link_within_the_workspace_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("one", "utf-8")
    (tmp_path / "AGENTS.md").symlink_to("CLAUDE.md")
    assert workspace.content(tmp_path, "AGENTS.md")["content"] == "one"
    workspace.write(tmp_path, "AGENTS.md", "two")
    assert (tmp_path / "AGENTS.md").is_symlink()
    assert (tmp_path / "CLAUDE.md").read_text("utf-8") == "two"


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "USER.md")
    (tmp_path / "SOUL.md").mkdir()
    for name in ("USER.md", "SOUL.md"):
        with pytest.raises(GatewayError, match="unsafe"):
            workspace.content(tmp_path, name)
        with pytest.raises(GatewayError, match="unsafe"):
            workspace.write(tmp_path, name, "x")


def test_too_much_is_neither_read_nor_written(tmp_path: Path) -> None:
    (tmp_path / "USER.md").write_bytes(b"x" * (workspace.MOST + 1))
    with pytest.raises(GatewayError, match="larger than"):
        workspace.content(tmp_path, "USER.md")
    with pytest.raises(GatewayError, match="larger than"):
        workspace.write(tmp_path, "SOUL.md", "x" * (workspace.MOST + 1))


def test_a_written_file_keeps_who_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "USER.md").write_text("x", "utf-8")
    (tmp_path / "USER.md").chmod(0o640)
    workspace.write(tmp_path, "USER.md", "y")
    assert (tmp_path / "USER.md").stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".USER*"))


# --- identity


async def test_an_agent_without_a_name_is_called_assistant(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        assert await made.house.call("agent.identity.get") == {
            "agentId": "main",
            "name": "Assistant",
            "nameSource": "default",
            "avatar": "A",
        }


async def test_an_agent_is_called_what_the_settings_say(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.house.call("agents.update", agentId="main", name="Boss", emoji="🦉")
        answer = await made.house.call("agent.identity.get", sessionKey="agent:main:work")
        assert (answer["name"], answer["nameSource"], answer["avatar"]) == ("Boss", "agent", "🦉")


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"sessionKey": "agent:"}, "invalid agent.identity.get params: malformed session key"),
        ({"agentId": "main", "sessionKey": "agent:other:main"}, "does not match session key agent"),
    ],
)
async def test_an_identity_needs_one_agent(tmp_path: Path, params: dict[str, str], why: str) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match=why):
            await made.house.call("agent.identity.get", **params)


async def test_connections_are_no_people(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match=r"users\.self requires an authenticated user") as caught:
            await made.house.call("users.self")
        assert caught.value.code == "FORBIDDEN"


@given(st.text(max_size=40))
def test_an_id_is_its_own_id(name: str) -> None:
    assert normal_id(normal_id(name)) == normal_id(name)

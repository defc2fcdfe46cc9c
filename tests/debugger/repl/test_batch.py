"""Lines from files and pipes against a service: what is asked, what is waited for, what is printed, how it ends."""

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from debugger.client import Client
from debugger.protocol import Failure
from debugger.protocol.decoding import plain
from debugger.repl import batch
from debugger.repl.chat import Talk, chat
from debugger.repl.forms import Asked
from debugger.repl.place import Place
from debugger.repl.screen import Json, Screen, Text
from debugger.repl.shell import Shell
from debugger.server import Caller
from tests.fakes.debugging import House, house

NAMES = (
    "attach", "detach", "new", "pause", "continue", "step", "until", "print", "edit", "say", "status", "where",
    "break.add", "break.change", "break.save", "break.load", "break.list", "bytes", "sessions", "why",
)  # fmt: skip


@define(eq=False)
class Session:
    """What the service does with its one session: it stops after each step, and answers what is said."""

    house: House
    generation: int = 1
    at: int = 10
    stops: bool = True
    specs: list[dict[str, Any]] = field(factory=list)

    def install(self) -> None:
        """Take over the handlers."""
        acts = self.house.deeds.acts
        for name in ("continue", "step", "until"):
            acts[name] = self.go
        acts |= {"attach": self.attach, "pause": self.pause, "say": self.say, "print": self.print, "edit": self.edit}
        acts |= {"break.save": self.save, "break.list": self.list, "break.load": self.load, "new": self.attach}

    async def attach(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return self.standing() | {"driving": True, "driver": caller.user}

    async def pause(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        self.generation += 1
        caller.tell("stopped", self.standing() | {"hits": [], "context": {}})
        return self.standing()

    def standing(self) -> dict[str, Any]:
        """Where the session stands."""
        step = {"kind": "call.run", "call": "c1", "edge": "before", "number": self.at}
        told = {"session": "s-42", "key": "main", "held": True, "generation": self.generation, "at": self.at}
        return told | {"step": step, "cause": "step", "by": "debugger:ann", "phase": "calls", "turn": 1}

    async def go(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if params.generation != self.generation:
            raise Failure("stale", f"hold {params.generation} is over")
        caller.tell("continued", {"session": "s-42", "by": "ann"})
        if self.stops:
            self.generation += 1
            self.at += 3
            caller.tell("stopped", self.standing() | {"hits": [], "context": {}})
        else:
            caller.tell("rested", {"session": "s-42", "status": "done", "message": ""})
        return {"generation": params.generation}

    async def say(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        for text in ("you said ", params.text, "\nand more"):
            caller.tell("output", {"session": "s-42", "kind": "text", "call": "", "text": text})
        caller.tell("rested", {"session": "s-42", "status": "done", "message": ""})
        return {"queued": 0}

    async def print(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if params.expr == "state.bad":
            raise Failure("expression_failed", "it costs too much", position=2)
        return {"value": self.at}

    async def edit(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        changes = [{"path": one.path, "old": None, "new": one.value} for one in params.changes]
        if not params.dry:
            self.at += 1
        return {"at": self.at, "changes": changes}

    async def save(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return {"specs": [{"id": 4, "tool": "read"}]}

    async def list(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        rows = [{"id": number, "line": f"breakpoint keep y  call.run {number}"} for number in (1, 3)]
        return {"breakpoints": rows}

    async def load(self, caller: Caller, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        known = [one["tool"] for one in self.specs]
        new = [{"tool": one.tool, "id": one.id, "line": one.tool} for one in params.specs if one.tool not in known]
        there = [{"id": one.id, "line": one.tool, "differs": []} for one in params.specs if one.tool in known]
        self.specs += new
        return {"ids": [one["id"] for one in new], "breakpoints": new, "there": there}


@define(eq=False)
class Bench:
    """A shell at a service."""

    shell: Shell
    session: Session
    seen: list[str]

    @property
    def asked(self) -> list[str]:
        """The commands that came to the service."""
        return [name for name, _ in self.session.house.deeds.done]

    def params(self, name: str) -> Any:
        """The params of the last command of that name."""
        return [params for done, params in self.session.house.deeds.done if done == name][-1]

    @property
    def text(self) -> str:
        """All that was shown."""
        return "".join(self.seen)

    async def run(self, *lines: str) -> int:
        """Run lines, as a file of them."""
        return await batch.run(self.shell, batch.given(lines))


@asynccontextmanager
async def bench(screen: Callable[[Callable[[str], None]], Screen] = Text, attach: bool = True) -> AsyncIterator[Bench]:
    async with house(*NAMES) as made:
        session = Session(made)
        session.install()
        seen: list[str] = []
        async with trio.open_nursery() as nursery:

            async def dial() -> Client:
                from debugger.client import greet
                from tests.fakes.debugging import HELLO

                return await greet(made.stream(), HELLO)

            shell = Shell(dial, nursery, screen(seen.append), Place(user="ann"), seconds=5.0)
            await shell.connect()
            if attach:
                await shell.request(Asked("attach", {"session": "main"}, "attach"))
            yield Bench(shell, session, seen)
            await shell.aclose()
            nursery.cancel_scope.cancel()


async def test_after_a_line_that_lets_it_go_the_next_stop_is_waited_for(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("step", "p state.turn", "until state.turn > 3", "continue") == batch.DONE
        assert one.params("continue").generation == 3
        assert one.asked == ["attach", "step", "print", "until", "continue"]
        assert "main stands before call.run c1 (turn 1, record 13): step [debugger:ann]\n$1 = 13\n" in one.text


async def test_the_end_of_the_prompt_ends_the_wait_too(autojump_clock: Any) -> None:
    async with bench() as one:
        one.session.stops = False
        assert await one.run("continue", "say hi", "wait") == batch.DONE
        assert "main: the prompt is over (done)\n" in one.text


async def test_a_wait_after_a_line_that_did_not_wait_sees_what_was_over_before_it(autojump_clock: Any) -> None:
    async with bench() as one:
        one.session.stops = False
        assert await one.run("continue &", "p 1", "wait 2") == batch.DONE
        assert one.text.endswith("main: the prompt is over (done)\n$1 = 10\n")


async def test_a_stop_that_does_not_come_fails_the_line(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("wait 2") == batch.DONE  # it stands
        one.session.stops = False
        assert await one.run("continue", "wait 2") == batch.DONE
        assert await one.run("say hi", "wait", "say hi", "wait 2") == batch.DONE
        one.session.house.deeds.acts.pop("say")
        assert await one.run("say hi", "wait 2") == batch.FAILED
        assert one.text.endswith("error: session s-42 did not stop within 2 seconds\n")


@pytest.mark.parametrize("bad", ["frobnicate", "p state.bad", "step 99999999"])
async def test_the_first_line_that_fails_ends_the_batch_with_one(bad: str, autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("p 1", bad, "p 2") == batch.FAILED
        assert "error:" in one.text
        assert "$2" not in one.text


async def test_a_connection_that_is_lost_ends_the_batch_with_three(autojump_clock: Any) -> None:
    async with bench() as one:
        one.session.house.service.goodbye("the daemon stops")
        await trio.testing.wait_all_tasks_blocked()
        assert await one.run("p 1") == batch.LOST
        assert "the daemon ends the connection: the daemon stops" in one.text
        assert "connection lost:" in one.text


async def test_reconnecting_attaches_again_and_goes_on(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("reconnect") == batch.FAILED
        one.session.house.service.goodbye("the daemon stops")
        await trio.testing.wait_all_tasks_blocked()
        assert await one.run("reconnect", "step") == batch.DONE
        assert one.asked == ["attach", "attach", "step"]
        assert one.params("attach").session == "s-42"


async def test_a_transaction_is_previewed_and_committed_as_one_edit(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("begin", 'set model = "m"', "set note = 1", 'commit --reason "both"') == batch.DONE
        last = one.params("edit")
        assert (last.at, last.dry, last.reason, len(last.changes)) == (10, False, "both", 2)
        assert [params.dry for name, params in one.session.house.deeds.done if name == "edit"] == [True, True, False]
        assert "(2 in the transaction; `commit` makes them)" in one.text
        assert await one.run("step", "set note = 2") == batch.DONE
        assert one.params("edit").at == 14


async def test_commands_of_a_breakpoint_are_sent_as_lines(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("commands 3", "p state.turn", "# nothing", "c", "end") == batch.DONE
        assert one.params("break.change").commands == ("p state.turn", "c")
        assert await one.run("commands 3", "p state.turn") == batch.FAILED


async def test_commands_of_a_breakpoint_that_is_not_there_are_refused_at_once(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("commands 7", "p 1") == batch.FAILED
        assert one.text.endswith("error: commands: there is no breakpoint 7; there are 1, 3\n")
        assert one.shell.place.block is None


async def test_an_ill_line_of_commands_is_named_when_it_comes(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("commands 3", "p 1", "frobnicate", "end") == batch.FAILED
        assert "error: commands 3, line 2 (frobnicate): unknown command frobnicate" in one.text
        assert "break.change" not in one.asked


async def test_what_takes_away_is_shown_where_it_is_only_tried(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("delete 3 --dry-run", "save x --dry-run") == batch.DONE
        assert "would ask: break.delete ids=[3] (delete breakpoints)\n" in one.text.replace("remove", "delete")
        assert "call.run 3" in one.text
        assert "call.run 1" not in one.text
        assert "would do here: save file=x\n" in one.text
        assert "break.delete" not in one.asked


async def test_a_breakpoint_of_a_file_that_is_run_again_is_there_already(tmp_path: Path, autojump_clock: Any) -> None:
    (tmp_path / "lines").write_text("break tool:read\n")
    (tmp_path / "json").write_text('{"breakpoints": [{"id": 1, "tool": "read"}, {"id": 2, "tool": "write"}]}')
    async with bench() as one:
        assert await one.run(*[f"source {tmp_path}/lines"] * 2, f"source {tmp_path}/json") == batch.DONE
        assert one.text.endswith("1: read\n1: read: already there\n2: write\n1: read: already there\n")
        assert "break.add" not in one.asked


async def test_quitting_ends_the_lines_and_says_what_becomes_of_the_session(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("quit --cancel", "p 1") == batch.DONE
        assert one.asked == ["attach", "detach"]
        assert one.params("detach").then == "cancel"


async def test_leaving_asks_what_becomes_of_a_session_that_is_held(autojump_clock: Any) -> None:
    async with bench() as one:
        questions: list[str] = []

        async def answer(question: str) -> str:
            await trio.lowlevel.checkpoint()
            questions.append(question)
            return "r\n"

        one.shell.ask = answer
        await one.shell.leave()
        assert questions == ["main held: resume, hold or cancel? [hold] "]
        assert one.params("detach").then == "resume"


async def test_the_letter_of_continue_cancels_nothing_when_one_leaves(autojump_clock: Any) -> None:
    async with bench() as one:

        async def answer(question: str) -> str:
            await trio.lowlevel.checkpoint()
            return "c\n"

        one.shell.ask = answer
        await one.shell.leave()
        assert "detach" not in one.asked


async def test_a_file_of_lines_is_run_and_one_of_breakpoints_is_loaded(tmp_path: Path, autojump_clock: Any) -> None:
    async with bench() as one:
        (tmp_path / "lines").write_text("# two lines\np 1\nstep\n")
        assert await one.run(f"source {tmp_path}/lines", f"save {tmp_path}/b.json") == batch.DONE
        assert json.loads((tmp_path / "b.json").read_text()) == {"breakpoints": [{"id": 4, "tool": "read"}]}
        assert await one.run(f"source {tmp_path}/b.json") == batch.DONE
        assert one.params("break.load").specs[0].tool == "read"


async def test_a_file_that_cannot_be_run_says_why_and_where(tmp_path: Path, autojump_clock: Any) -> None:
    (tmp_path / "bad").write_text("p 1\nfrob\np 2\n")
    (tmp_path / "self").write_text(f"source {tmp_path}/self\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "json").write_text("{}")
    (tmp_path / "open").write_text("commands 3\np 1\n")
    async with bench() as one:
        for name, why in (
            ("bad", "was not run further than line 2"),
            ("self", "that is too deep"),
            ("bytes", "is no UTF-8 text"),
            ("json", "has no breakpoints that `save` has written"),
            ("open", "ends before the `end`"),
            ("none", "cannot be read (No such file or directory)"),
        ):
            assert await one.run(f"source {tmp_path}/{name}") == batch.FAILED
            assert why in one.text
        assert await one.run("p 1") == batch.DONE


async def test_aliases_and_help_need_no_daemon(autojump_clock: Any) -> None:
    async with bench(attach=False) as one:
        assert await one.run("alias ss = sessions", "alias", "help ss") == batch.FAILED
        assert "ss = sessions\n" in one.text
        assert one.asked == []


async def test_with_json_every_line_is_one_object_and_a_stop_has_its_context(autojump_clock: Any) -> None:
    async with bench(Json) as one:
        assert await one.run("step", "frob") == batch.FAILED
        rows = [json.loads(row) for row in one.text.splitlines()]
        assert [row.get("event") or row.get("command") or row["error"]["code"] for row in rows if row] == [
            "attach", *[row.get("event") or row.get("command") for row in rows[1:-1]], "bad_line",
        ]  # fmt: skip
        (stop,) = [row for row in rows if row.get("event") == "stopped"]
        assert stop["data"]["generation"] == 2
        assert stop["data"]["context"] == {}


async def test_an_edit_in_an_editor_is_made_of_what_was_saved(autojump_clock: Any) -> None:
    async with bench() as one:

        async def compose(text: str, suffix: str) -> str:
            await trio.lowlevel.checkpoint()
            assert (text, suffix) == ("old", ".txt")
            return "new\n"

        async def body(caller: Caller, params: Any) -> Any:
            await trio.lowlevel.checkpoint()
            return {"text": '"old"', "start": 0, "total": 5}

        assert await one.run("edit system") == batch.FAILED
        one.session.house.deeds.acts["bytes"] = body
        one.shell.compose = compose
        assert await one.run("edit system") == batch.DONE
        assert one.params("bytes").path == "state.context.system"
        assert one.params("edit").changes[0].value == "new"


async def test_a_chat_in_a_pipe_shows_answers_and_waits_for_each(autojump_clock: Any) -> None:
    async with bench(Talk) as one:
        typed = io.StringIO("hello\n\n/state\n/help\nbye\n")
        assert await chat(one.shell, {}, None, (typed, io.StringIO()), terminal=False) == batch.DONE
        assert one.asked == ["attach", "say", "status", "say"]
        assert "you said hello\nand more\n" in one.text
        assert "queued" not in one.text
        assert one.text.count("this message waits: /continue lets it go on") == 2  # it stands all the time
        assert "behind a /" in one.text


async def test_a_chat_without_a_session_begins_one_and_ends_at_what_is_refused(autojump_clock: Any) -> None:
    async with bench(Talk, attach=False) as one:
        typed = io.StringIO("hello\n/frob\nbye\n")
        assert await chat(one.shell, {}, None, (typed, io.StringIO()), terminal=False) == batch.FAILED
        assert one.asked == ["new", "say"]
        assert one.text.startswith("you talk to main; /help explains\n")


async def test_lines_of_a_pipe_are_read_one_at_a_time(autojump_clock: Any) -> None:
    pipe = io.StringIO("p 1\nstep\n")
    async with bench() as one:
        lines = batch.Lines(pipe)
        assert await anext(lines) == "p 1"
        assert pipe.tell() == 4
        assert await batch.run(one.shell, lines) == batch.DONE
        assert one.asked == ["attach", "step"]


async def test_at_the_end_what_does_not_stand_is_given_back_and_what_stands_is_not(autojump_clock: Any) -> None:
    async with bench() as one:
        assert await one.run("p 1") == batch.DONE
        await one.shell.give_back()
        assert "detach" not in one.asked  # it stands: what was said when attaching counts
        one.session.stops = False
        assert await one.run("continue") == batch.DONE
        await one.shell.give_back()
        assert (one.params("detach").session, one.params("detach").then) == ("s-42", "hold")


async def test_what_cannot_be_given_back_any_more_is_left(autojump_clock: Any) -> None:
    async with bench() as one:
        one.session.stops = False
        assert await one.run("continue") == batch.DONE
        one.session.house.deeds.acts["detach"] = refused
        await one.shell.give_back()
        one.session.house.service.goodbye("the daemon stops")
        await trio.testing.wait_all_tasks_blocked()
        await one.shell.give_back()
        assert one.asked.count("detach") == 1


async def refused(caller: Caller, params: Any) -> Any:
    """What a session answers that somebody else drives by now."""
    await trio.lowlevel.checkpoint()
    raise Failure("not_driver", "this connection is not attached to session s-42")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("quit --hold 60 --reason lunch", {"then": "hold", "hold_seconds": 60.0, "reason": "lunch"}),
        ("quit --hold forever", {"then": "hold", "forever": True}),
        ("quit --cancel", {"then": "cancel"}),
    ],
)
async def test_who_quits_says_for_how_long_what_stands_is_held(
    line: str, told: dict[str, Any], autojump_clock: Any
) -> None:
    async with bench() as one:
        assert await one.run(line) == batch.DONE
        assert plain(one.params("detach")) == {"session": "s-42", **told}

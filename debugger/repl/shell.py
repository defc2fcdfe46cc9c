"""Does what typed lines ask for: requests to the daemon, files, transactions. The one client behind prompt and batch.

`place` is what it knows; events change it as they come. A line that fails says why and has no further effect.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import trio
from attrs import define, evolve, field

from debugger.client import Client
from debugger.protocol.errors import Failure
from debugger.repl import editing, lines, render, retold
from debugger.repl.explaining import explained
from debugger.repl.forms import Act, Asked, BadLine, Local
from debugger.repl.naming import MOST
from debugger.repl.place import Block, Place
from debugger.repl.screen import Screen
from debugger.repl.texts import Style
from debugger.repl.texts import line as in_a_line
from runtime.errors import TwinstepError

PLAIN: Final = Style()
Dial = Callable[[], Awaitable[Client]]
Ask = Callable[[str], Awaitable[str]]
"""Puts a question to the person at the terminal."""
Compose = Callable[[str, str], Awaitable[str]]
"""Lets a person edit a text; takes what the file's name ends with as well."""
STOP_SECONDS: Final = 60.0
"""How long a stop is waited for where nobody says how long."""
FILE: Final = 1 << 20
"""Bytes of a file that is run."""
NESTED: Final = 8
"""Files that run one another."""
THEN: Final = ("resume", "hold", "cancel")
LOOKS: Final = {"break.delete": "break.list", "cancel": "why", "kill": "why"}
"""What is shown before something is taken away, where it is only tried."""
LEFT: Final[Mapping[str, Any]] = {"then": ""}
"""Who leaves says nothing."""
MARKED: Final = frozenset({"continue", "step", "finish", "until", "say"})
"""What a later `wait` waits for the end of, also where the line itself waited for nothing (`continue &`)."""


@define(eq=False)
class Shell:
    """One person or script at one daemon. `seconds` is how long a stop is waited for.

    `done` is set when there is nothing more to do here: somebody left.
    """

    dial: Dial
    nursery: trio.Nursery
    screen: Screen
    place: Place
    seconds: float = STOP_SECONDS
    ask: Ask | None = None
    compose: Compose | None = None
    done: bool = False
    _client: Client | None = None
    _moved: trio.Event = field(factory=trio.Event)
    _depth: int = 0
    _marks: dict[str, int] = field(factory=dict)
    """How many prompts of each session were over when it was last let go or spoken to."""

    @property
    def lost(self) -> bool:
        """Whether there is no connection."""
        return self._client is None or self._client.ended is not None

    async def connect(self) -> None:
        """Connect, and from now on hear what is told. Raises what `debugger.client.connect` raises."""
        client = await self.dial()
        self._client = client
        self.place = evolve(self.place, role=client.role, user=client.welcome.user or self.place.user)
        self.nursery.start_soon(self._live, client)

    async def aclose(self) -> None:
        """End the connection."""
        self.done = True
        if self._client is not None:
            await self._client.aclose()

    async def _live(self, client: Client) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            async for event in client:
                self._heard(event.name, event.data)
        self._moved.set()
        if not self.done and client is self._client:
            why = str(client.ended or "the connection ended")
            self.screen.told("lost", why, [f"connection lost: {why}; `reconnect` tries again"])

    def _heard(self, name: str, data: Mapping[str, Any]) -> None:
        self.place = self.place.heard(name, data)
        self.screen.heard(name, data, self.place)
        self._moved.set()
        self._moved = trio.Event()

    # --- lines

    async def do(self, line: str, *, waits: bool = False) -> bool:
        """Do what a line asks for; with `waits`, until the session that it lets go stands again. Says whether all of it
        was done."""
        try:
            for act in lines.read(line, self.place):
                act = _once_only(act) if self._depth else act
                await (self.local(act, waits=waits) if isinstance(act, Local) else self.request(act, waits=waits))
        except TwinstepError as exc:
            self.screen.failed(line, exc)
            return False
        text = line.strip()
        if text and lines.repeated(text, self.place):
            self.place = evolve(self.place, again=text)
        elif text:
            self.place = evolve(self.place, again="")
        return True

    async def request(self, asked: Asked, *, waits: bool = False) -> Any:
        """Ask, and show the answer. Raises Failure."""
        session = str(asked.params.get("session"))
        if asked.command in MARKED:
            self._marks[session] = self._rests(session)
        result = await self._answer(asked)
        self.place = self.place.answered(asked.command, asked.verb, asked.params, result)
        self.screen.answered(asked, result, self.place)
        if asked.goes and waits:
            await self.stop(session, self.seconds)
        return result

    async def _answer(self, asked: Asked) -> Any:
        """Ask, and where a receipt is needed, once more when it is confirmed. Raises Failure."""
        try:
            return await self.query(asked.command, asked.params)
        except Failure as exc:
            if exc.code != "receipt_needed" or exc.receipt is None:
                raise
            refused, receipt = exc, exc.receipt
        self.screen.told("receipt", receipt, retold.receipt(receipt, PLAIN))
        if not await self._confirmed(asked):
            raise Failure(refused.code, f"{refused}: --receipt DIGEST, or --yes", receipt=receipt)
        return await self.query(asked.command, {**asked.params, "receipt": str(receipt.get("digest", ""))})

    async def _confirmed(self, asked: Asked) -> bool:
        if asked.confirmed or self.ask is None:
            return asked.confirmed
        return (await self.ask("go back, though this stays as it is? [no] ")).strip().lower() in ("y", "yes")

    def _rests(self, session: str) -> int:
        one = self.place.sessions.get(session)
        return one.rests if one is not None else 0

    async def learn(self) -> None:
        """Learn the names of the daemon's sessions, and how many breakpoints there are. Raises Failure."""
        for command, params in (("sessions", {"limit": MOST}), ("break.list", {})):
            found = await self.query(command, params)
            self.place = self.place.answered(command, command, params, found)

    async def query(self, command: str, params: Mapping[str, Any]) -> Any:
        """Ask, and show nothing. Raises Failure."""
        if self._client is None:
            raise Failure("closed", "there is no connection")
        return await self._client.request(command, params)

    async def stop(self, session: str, seconds: float) -> None:
        """Wait until a session stands, or a prompt is over since it was let go or spoken to. Raises Failure."""
        rests = self._marks.setdefault(session, self._rests(session))
        with trio.move_on_after(seconds):
            while True:
                one = self.place.sessions.get(session)
                if one is None or one.closed:
                    raise Failure("refused", f"session {session} was closed, and will not stop")
                if one.held or one.rests > rests:
                    return
                if self.lost:
                    raise Failure("closed", "the connection ended before the session stopped")
                await self._moved.wait()
        raise Failure("late", f"session {session} did not stop within {seconds:g} seconds")

    # --- what is done here

    async def local(self, act: Local, *, waits: bool = False) -> None:
        """Do what needs no daemon, or more than one request. Raises TwinstepError."""
        given = act.given
        match act.verb:
            case "source":
                await self._source(given["file"])
            case "save":
                await self._save(given["file"])
            case "wait":
                await self.stop(self.place.session, self.seconds if given["seconds"] is None else given["seconds"])
            case "reconnect":
                await self._reconnect()
            case "quit":
                await self.leave(given)
            case "edit":
                await self._edit(given["path"])
            case "commands":
                await self._commands(given["id"])
            case "dry":
                await self._dry(given)
            case _:
                await trio.lowlevel.checkpoint()
                self._noted(act.verb, given)

    def _noted(self, verb: str, given: Mapping[str, Any]) -> None:
        """Do what only changes the place, or shows something of it."""
        place = self.place
        changed: dict[str, Any] = {}
        match verb:
            case "begin":
                changed["edits"] = ()
            case "abort":
                changed["edits"] = None
            case "alias":
                changed["aliases"] = {**place.aliases, given["name"]: given["line"]}
            case "unalias":
                changed["aliases"] = {name: line for name, line in place.aliases.items() if name != given["name"]}
            case "collected":
                changed["block"] = None
            case "collect":
                assert place.block is not None
                changed["block"] = evolve(place.block, lines=(*place.block.lines, given["line"]))
            case _:
                value, shown = explained(verb, given, place)
                self.screen.told(verb, value, shown)
        self.place = evolve(place, **changed)

    async def _commands(self, number: int) -> None:
        """Begin the lines of a breakpoint, which must be there."""
        there = [int(one["id"]) for one in (await self.query("break.list", {})).get("breakpoints", ())]
        if number not in there:
            some = f"there are {', '.join(map(str, there))}" if there else "there are none"
            raise BadLine(f"commands: there is no breakpoint {number}; {some}")
        self.place = evolve(self.place, block=Block(number))

    async def _dry(self, given: Mapping[str, Any]) -> None:
        """Say what a line would do; of one that takes something away, also what."""
        value, shown = explained("dry", given, self.place)
        looks = LOOKS.get(str(given.get("command")))
        if looks is not None:
            asked = Asked(looks, {} if looks == "break.list" else {"session": given["with"]["session"]}, looks)
            result = await self.query(asked.command, asked.params)
            if looks == "break.list":
                ids = given["with"]["ids"]
                result = {"breakpoints": [one for one in result["breakpoints"] if one["id"] in ids]}
            value, shown = {**value, "now": result}, [*shown, *render.answer(asked, result, self.place)]
        self.screen.told("dry", value, shown)

    async def leave(self, given: Mapping[str, Any] = LEFT) -> None:
        """Leave: of sessions that are held and driven here say what becomes of them, if it was said or can be asked.

        `given` is what `detach` is told: `then`, and for how long."""
        mine = [one.session for one in self.place.sessions.values() if one.driving and one.held and not one.closed]
        if mine and not given["then"] and self.ask is not None and not self.lost:
            given = {**given, "then": await self._asked(mine)}
        for session in mine if given["then"] else ():
            await self.request(Asked("detach", {"session": session, **given}, "detach"))
        self.done = True

    async def give_back(self) -> None:
        """Give back the driving of sessions that do not stand: nothing of them has to be kept for this user.

        One that is stopped meanwhile stays so for its time. Those that stand follow what was said when attaching.
        """
        if self.lost:
            return
        for one in tuple(self.place.sessions.values()):
            if one.driving and not one.held and not one.closed:
                with suppress(TwinstepError):  # it was given away, or is gone
                    await self.query("detach", {"session": one.session, "then": "hold"})

    async def _asked(self, sessions: list[str]) -> str:
        assert self.ask is not None
        named = ", ".join(in_a_line(self.place.sessions[one].key or one) for one in sessions)
        text = (await self.ask(f"{named} held: resume, hold or cancel? [hold] ")).strip().lower()
        if text == "c":
            return ""  # at the prompt it is `continue`: what ends a prompt is said in more than a letter
        found = [then for then in THEN if text and then.startswith(text)]
        return found[0] if found else ""

    async def _reconnect(self) -> None:
        if not self.lost:
            raise BadLine("reconnect: the connection is there")
        await self.connect()
        current, sessions = self.place.session, self.place.sessions
        self.place = evolve(self.place, sessions={}, session="")
        for name in sorted(sessions, key=lambda name: name == current):
            await self.request(Asked("attach", {"session": name, "observe": not sessions[name].driving}, "attach"))

    async def _source(self, name: str) -> None:
        if self._depth >= NESTED:
            raise BadLine(f"source: {name} is the {NESTED + 1}th file in one another; that is too deep")
        text = await read_file(name)
        if text.lstrip().startswith("{"):
            await self.request(Asked("break.load", {"specs": _specs(name, text)}, "source"))
            return
        self._depth += 1
        try:
            for number, line in enumerate(text.splitlines(), 1):
                if not await self.do(line, waits=True):
                    raise BadLine(f"source: {name} was not run further than line {number}")
                if self.done:
                    return
            if self.place.block is not None:
                raise BadLine(f"source: {name} ends before the `end` of its commands")
        finally:
            self.place = evolve(self.place, block=None)
            self._depth -= 1

    async def _save(self, name: str) -> None:
        specs = (await self.query("break.save", {})).get("specs", [])
        try:
            path = await trio.Path(name).expanduser()
            await path.write_text(json.dumps({"breakpoints": specs}, indent=1) + "\n", "utf-8")
        except OSError as exc:
            raise BadLine(f"save: {name} cannot be written ({exc.strerror})") from exc
        self.screen.told("save", {"file": name, "count": len(specs)}, [f"{len(specs)} breakpoints in {name}"])

    async def _edit(self, path: str) -> None:
        if self.compose is None:
            raise BadLine(f"edit: needs a terminal; here, set {path} = JSON")
        standing = self.place.standing
        where = {"session": standing.session, "path": editing.expression(path, self.place), "count": FILE}
        before = editing.draft(path, (await self.query("bytes", where)).get("text", ""))
        value = editing.edited(path, before, await self.compose(before.text, before.suffix))
        change = {"path": path, "op": "set", "value": value}
        await self.request(Asked("edit", {"session": standing.session, "at": standing.at, "changes": [change]}, "edit"))


def _once_only(act: Act) -> Act:
    """In a file that may be run again, a breakpoint that is there already is not set once more."""
    if not isinstance(act, Asked) or act.command != "break.add":
        return act
    return Asked("break.load", {"specs": [{"id": 1, **act.params}]}, act.verb)


def _specs(name: str, text: str) -> list[Any]:
    try:
        found = json.loads(text)["breakpoints"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadLine(f"source: {name} has no breakpoints that `save` has written") from exc
    if not isinstance(found, list):
        raise BadLine(f"source: {name}: breakpoints must be a list")
    return found


async def read_file(name: str) -> str:
    """Return the text of a file of lines. Raises BadLine."""
    try:
        async with await trio.open_file(await trio.Path(name).expanduser(), "rb") as file:
            data = await file.read(FILE + 1)
        text = data.decode("utf-8")
    except OSError as exc:
        raise BadLine(f"source: {name} cannot be read ({exc.strerror})") from exc
    except ValueError as exc:
        raise BadLine(f"source: {name} is no UTF-8 text") from exc
    if len(data) > FILE:
        raise BadLine(f"source: {name} has more than {FILE:,} bytes")
    return text

"""A VirusTotal of our own for tests: its v3 interface as DEFENDER section 5 tells it, with faults on demand.

    service = Service()
    service.knows("http://bad.example.com/", malicious=5)
    service.next(error(429, "QuotaExceededError", retry_after="7"))       # the next answer, whatever is asked
    async with in_memory(service.scenario) as (stub, network): ...        # no socket: goes well with MockClock
    async with serving(service.scenario) as (stub, url): ...              # 127.0.0.1

It knows nothing of the product. `FACTS` is what it has to do; its tests hold it to that.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import md5, sha1, sha256
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from attrs import Factory, define, field, frozen

from tests.fakes.gemini_stub import Answer, Call, Close, Hang, Pause, Reset, Scenario, Step

KEY: Final = "k" * 63 + "7"
URL: Final = "http://known.example.com/"
FILE: Final = b"a file that is known"
JSON: Final = ("content-type", "application/json; charset=utf-8")
MESSAGES: Final[Mapping[str, str]] = {"NotFoundError": "not found", "WrongCredentialsError": "Wrong API key"}
ERRORS: Final[Mapping[int, tuple[str, ...]]] = {
    400: ("BadRequestError", "InvalidArgumentError", "NotAvailableYet"),
    401: ("AuthenticationRequiredError", "WrongCredentialsError", "UserNotActiveError"),
    403: ("ForbiddenError",),
    404: ("NotFoundError",),
    409: ("AlreadyExistsError",),
    424: ("FailedDependencyError",),
    429: ("QuotaExceededError", "TooManyRequestsError"),
    503: ("TransientError",),
    504: ("DeadlineExceededError",),
}
"""Every status with its codes."""


def body(status: int, value: object, *headers: tuple[str, str]) -> Answer:
    """An answer of JSON."""
    return Answer((json.dumps(value).encode(),), status, "x", (JSON, *headers), chunked=False)


def error(status: int, code: str, retry_after: str = "") -> Answer:
    """A refusal as the interface words it."""
    headers = (("retry-after", retry_after),) if retry_after else ()
    return body(status, {"error": {"code": code, "message": MESSAGES.get(code, code)}}, *headers)


def said(*steps: Step, kind: str = "application/json", status: int = 200, chunked: bool = True) -> Answer:
    """An answer in steps: bytes, pauses, and ends of the connection."""
    return Answer(steps, status, "x", (("content-type", kind),), chunked)


def silent() -> Answer:
    """Takes the question and never answers."""
    return Answer(before=(Hang(),))


def gone(how: Close | Reset | None = None) -> Answer:
    """Goes without an answer."""
    return Answer(before=(how or Close(),))


def drip(content: bytes, seconds: float, size: int = 1) -> Answer:
    """A good answer that comes slowly."""
    pieces = (content[place : place + size] for place in range(0, len(content), size))
    return said(*(step for piece in pieces for step in (piece, Pause(seconds))))


def elsewhere(where: str, status: int = 302) -> Answer:
    """A redirect."""
    return Answer((b"{}",), status, "x", (JSON, ("location", where)), chunked=False)


def stats(**counts: int) -> dict[str, int]:
    """`last_analysis_stats`, with 60 engines that have nothing to say."""
    return {"harmless": 0, "malicious": 0, "suspicious": 0, "undetected": 60, "timeout": 0, **counts}


def url_id(url: str) -> str:
    """The id of a URL as clients make it: base64url without padding."""
    return urlsafe_b64encode(url.encode()).decode().rstrip("=")


@frozen
class Known:
    """One object: its type, its names, and its attributes."""

    kind: str
    id: str
    attributes: Mapping[str, Any]

    @property
    def whole(self) -> dict[str, Any]:
        """The report."""
        links = {"self": f"https://www.virustotal.com/api/v3/{self.kind}s/{self.id}"}
        return {"data": {"type": self.kind, "id": self.id, "links": links, "attributes": dict(self.attributes)}}


@define(eq=False)
class Service:
    """The interface, with what it knows. `per_minute` answers are given (None: no quota), then 429."""

    keys: frozenset[str] = frozenset({KEY})
    per_minute: int | None = None
    asked: list[Call] = Factory(list)
    _known: dict[str, Known] = field(factory=dict)
    _next: list[Answer] = field(factory=list)
    _analyses: dict[str, int] = field(factory=dict)

    @property
    def scenario(self) -> Scenario:
        """What a stub serves."""
        return Scenario(self.respond)

    def next(self, *answers: Answer, times: int = 1) -> None:
        """Give these answers first, whatever is asked."""
        self._next += [answer for answer in answers for _ in range(times)]

    def knows(self, url: str, **counts: int) -> Known:
        """Know a URL (in the form that the service keeps), with these counts."""
        return self.has("url", sha256(url.encode()).hexdigest(), (url_id(url),), {"url": url}, counts)

    def holds(self, content: bytes, **counts: int) -> Known:
        """Know a file, with these counts."""
        names = {"md5": md5(content).hexdigest(), "sha1": sha1(content).hexdigest()}
        whole = sha256(content).hexdigest()
        more = {"confirmed-timeout": 0, "failure": 0, "type-unsupported": 0, **counts}
        return self.has("file", whole, names.values(), {**names, "sha256": whole, "size": len(content)}, more)

    def has(self, kind: str, name: str, others: Iterable[str], attributes: Any, counts: Mapping[str, int]) -> Known:
        """Know an object under its names."""
        results = {"Engine": {"category": "undetected", "engine_name": "Engine", "method": "blacklist", "result": None}}
        about = {"last_analysis_stats": stats(**counts), "last_analysis_results": results, "reputation": 0}
        about |= {"last_analysis_date": 1_750_000_000, "total_votes": {"harmless": 0, "malicious": 0}}
        made = Known(kind, name, {**attributes, **about})
        for one in (name, *others):
            self._known[f"{kind}s/{one}"] = made
        return made

    def respond(self, call: Call, number: int) -> Answer:
        """Answer one request."""
        del number
        self.asked.append(call)
        if self._next:
            return self._next.pop(0)
        key = {name.lower(): value for name, value in call.headers.items()}.get("x-apikey", "")
        if not key:
            return error(401, "AuthenticationRequiredError")
        if key not in self.keys:
            return error(401, "WrongCredentialsError")
        if self.per_minute is not None and len(self.asked) > self.per_minute:
            return error(429, "QuotaExceededError")
        place = urlsplit(call.target).path.removeprefix("/api/v3/")
        return self._posted(call, place) if call.method == "POST" else self._found(place)

    def _found(self, place: str) -> Answer:
        kind, _, name = place.partition("/")
        if kind == "analyses":
            return self._analysis(name)
        if kind not in ("urls", "files"):
            return error(404, "NotFoundError")
        if kind == "urls" and not readable(name):
            return error(400, "InvalidArgumentError")
        known = self._known.get(place)
        return body(200, known.whole) if known else error(404, "NotFoundError")

    def _posted(self, call: Call, place: str) -> Answer:
        if place == "urls" and b"url=" in call.raw:
            content = parse_qs(call.raw.decode())["url"][0].encode()
        elif place == "files":
            content = call.raw
        else:
            return error(400, "BadRequestError")
        name = f"u-{sha256(content).hexdigest()}-1"
        self._analyses[name] = 0
        return body(200, {"data": {"type": "analysis", "id": name}})

    def _analysis(self, name: str) -> Answer:
        if name not in self._analyses:
            return error(404, "NotFoundError")
        status = ("queued", "in-progress", "completed")[min(self._analyses[name], 2)]
        self._analyses[name] += 1
        return body(200, {"data": {"type": "analysis", "id": name, "attributes": {"status": status, "stats": stats()}}})


def readable(name: str) -> bool:
    """Whether this is an id of a URL: a SHA-256, or base64url without padding."""
    if len(name) == 64 and all(one in "0123456789abcdef" for one in name):
        return True
    try:
        return "=" not in name and bool(urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode())
    except ValueError:
        return False


@frozen
class Fact:
    """One line of what the interface does: a request, and the status, code or type of the answer."""

    what: str
    path: str
    status: int
    says: str = ""
    method: str = "GET"
    key: str = KEY
    content: bytes = b""


FACTS: Final = (
    Fact("a URL by its id, base64url without padding", f"/urls/{url_id(URL)}", 200, "url"),
    Fact("a URL by the SHA-256 of its canonical form", f"/urls/{sha256(URL.encode()).hexdigest()}", 200, "url"),
    Fact("a padded id is none", f"/urls/{urlsafe_b64encode(URL.encode()).decode()}=", 400, "InvalidArgumentError"),
    Fact("a URL that is not known", f"/urls/{url_id('http://new.example.com/')}", 404, "NotFoundError"),
    Fact("a file by MD5", f"/files/{md5(FILE).hexdigest()}", 200, "file"),
    Fact("a file by SHA-1", f"/files/{sha1(FILE).hexdigest()}", 200, "file"),
    Fact("a file by SHA-256", f"/files/{sha256(FILE).hexdigest()}", 200, "file"),
    Fact("a file that is not known", f"/files/{'0' * 64}", 404, "NotFoundError"),
    Fact("no key", f"/files/{sha256(FILE).hexdigest()}", 401, "AuthenticationRequiredError", key=""),
    Fact("a wrong key", f"/files/{sha256(FILE).hexdigest()}", 401, "WrongCredentialsError", key="other"),
    Fact("a URL is submitted as a form", "/urls", 200, "analysis", "POST", content=b"url=http%3A%2F%2Fx.example%2F"),
    Fact("a file is submitted", "/files", 200, "analysis", "POST", content=b"bytes"),
    Fact("an analysis that there is not", "/analyses/none", 404, "NotFoundError"),
)
"""What DEFENDER section 5 says of the interface."""

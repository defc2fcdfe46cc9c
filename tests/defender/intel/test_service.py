"""The VirusTotal of the tests does what DEFENDER section 5 says of the real one."""

import json

import httpcore
import pytest

from tests.fakes.gemini_stub import in_memory
from tests.fakes.virustotal import ERRORS, FACTS, FILE, URL, Fact, Service, error, readable, url_id

COUNTS = {"harmless", "malicious", "suspicious", "undetected", "timeout"}


async def asked(service: Service, fact: Fact) -> httpcore.Response:
    headers: list[tuple[bytes | str, bytes | str]] = [("host", "vt.test")]
    headers += [("x-apikey", fact.key)] if fact.key else []
    async with in_memory(service.scenario) as (_, network):
        async with httpcore.AsyncConnectionPool(network_backend=network) as pool:
            return await pool.request(
                fact.method, f"http://vt.test/api/v3{fact.path}", headers=headers, content=fact.content
            )


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.what)
async def test_the_fake_does_what_the_facts_say(fact: Fact) -> None:
    service = Service()
    service.knows(URL, malicious=2)
    service.holds(FILE)
    answer = await asked(service, fact)
    told = json.loads(answer.content)
    assert answer.status == fact.status
    assert fact.says in (told.get("data", {}).get("type"), told.get("error", {}).get("code"))


async def test_a_report_has_the_counts_by_which_clients_decide() -> None:
    service = Service()
    service.knows(URL, malicious=2)
    service.holds(FILE)
    url = json.loads((await asked(service, FACTS[0])).content)["data"]
    file = json.loads((await asked(service, FACTS[6])).content)["data"]
    assert url["attributes"]["last_analysis_stats"].keys() == COUNTS
    assert file["attributes"]["last_analysis_stats"].keys() > COUNTS
    assert url["attributes"]["last_analysis_stats"]["malicious"] == 2
    assert url["id"] != url_id(URL)


async def test_an_analysis_is_queued_then_completed() -> None:
    service = Service()
    name = json.loads((await asked(service, Fact("", "/files", 200, method="POST", content=b"x"))).content)["data"]
    seen = []
    for _ in range(3):
        answer = await asked(service, Fact("", f"/analyses/{name['id']}", 200))
        seen.append(json.loads(answer.content)["data"]["attributes"]["status"])
    assert seen == ["queued", "in-progress", "completed"]


async def test_more_questions_than_the_quota_are_refused() -> None:
    service = Service(per_minute=1)
    service.holds(FILE)
    assert [(await asked(service, FACTS[6])).status for _ in range(2)] == [200, 429]


def test_every_status_has_its_codes() -> None:
    for status, codes in ERRORS.items():
        for code in codes:
            (content,) = error(status, code).steps
            assert isinstance(content, bytes)
            assert json.loads(content)["error"].keys() == {"code", "message"}


@pytest.mark.parametrize(("name", "good"), [("abc=", False), ("a/b", False), ("0" * 64, True), (url_id(URL), True)])
def test_an_id_is_base64url_without_padding_or_a_hash(name: str, good: bool) -> None:
    assert readable(name) is good

"""Details of results: kept and counted where there are any, and as if they had never been thought of where not."""

import pytest

from runtime.step import events as ev
from runtime.step.records import CONVERTER
from runtime.vocab import ToolResult, evolve

PLAIN = ToolResult("out", display="d", added=1)


def test_a_result_without_details_has_the_digest_that_it_had_before_there_were_any() -> None:
    assert PLAIN.digest.hex() == "ed39d19dada4c6416964adf278204519"
    assert ToolResult.failed("k", "m").digest.hex() == "2e4b537fe16b492898071171c12fc62f"


def test_a_result_without_details_does_not_mention_them_in_a_record() -> None:
    plain = CONVERTER.unstructure(ev.Finished("c", PLAIN))
    assert "details" not in plain["result"]
    assert CONVERTER.structure(plain, ev.Finished) == ev.Finished("c", PLAIN)


@pytest.mark.parametrize("details", [{}, {"status": "running", "pid": 7, "sessions": [{"a": None}]}])
def test_details_come_back_from_a_record_and_count(details: dict[str, object]) -> None:
    result = evolve(PLAIN, details=details)
    event = ev.Finished("c", result)
    back = CONVERTER.structure(CONVERTER.unstructure(event), ev.Finished)
    assert back == event
    assert back.result.digest == result.digest != PLAIN.digest


def test_the_model_is_not_told_of_details() -> None:
    assert evolve(PLAIN, details={"secret": 1}).response == {"output": "out"}

"""Times and sizes as the settings write them."""

import pytest

from runtime.config.openclaw.amounts import milliseconds, size
from runtime.config.openclaw.rules import conflicts


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("30d", 30 * 86_400_000), ("1h30m", 5_400_000), ("500ms", 500), ("2", 172_800_000), (1.5, 129_600_000), ("0h", 0)],
)
def test_a_time_is_read_in_its_units(value: object, wanted: int) -> None:
    assert milliseconds(value, "d") == wanted


@pytest.mark.parametrize(("value", "wanted"), [("10gb", 10 * 2**30), ("500 MB", 500 * 2**20), (7, 7), ("0", 0)])
def test_a_size_is_read_in_its_units(value: object, wanted: int) -> None:
    assert size(value) == wanted


@pytest.mark.parametrize("value", ["", "soon", "-1d", "1y", True, "1d later"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a time such as"):
        milliseconds(value, "d")


@pytest.mark.parametrize("value", ["", "big", -1, "1xb", True])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size such as"):
        size(value)


def test_the_key_of_a_wrong_amount_is_named() -> None:
    maintenance = {"pruneAfter": "soon", "maxDiskBytes": False}
    tree = {"session": {"maintenance": maintenance}, "cron": {"sessionRetention": "x"}}
    assert [one.path for one in conflicts(tree)] == ["session.maintenance.pruneAfter", "cron.sessionRetention"]

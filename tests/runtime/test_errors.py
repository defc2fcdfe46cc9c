"""Errors of several tasks at once."""

from runtime.errors import InputError, alone


def test_the_first_error_of_a_group_is_found_however_deep_it_lies() -> None:
    first = InputError("first")
    inner = ExceptionGroup("inner", [first, InputError("second")])
    assert alone(ExceptionGroup("outer", [inner, InputError("third")])) is first

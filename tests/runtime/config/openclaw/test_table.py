"""The table of keys: that it can be read as a whole, and that it ends."""

import pytest

from runtime.config.openclaw import table
from runtime.config.openclaw.table import Either, Fixed, Keyed, Many, Named, Number, Plain, Shape, Text, parsed
from runtime.errors import LocalError

TYPES = {
    "int 1..65535": Number(True, 1, 65535),
    "int >0..10": Number(True, None, 10, 0),
    "number >0": Number(False, None, None, 0),
    "number 0..1": Number(False, 0, 1),
    "text": Text(),
    "text 1..": Text(1),
    "text ..128 /^(?:[A-Z][./-]*)?$/": Text(0, 128, ("^(?:[A-Z][./-]*)?$",)),
    "text /^a|b$/ /^#.*/": Text(0, None, ("^a|b$", "^#.*")),
    "text uri": Text(form="uri"),
    '"on" | "off" | bool': Either((Fixed(("on", "off")), Plain.BOOL)),
    "text | false | 0": Either((Text(), Fixed((False, 0)))),
    "[text 1..] ..256": Many(Text(1), 0, 256),
    "[number] 2..2": Many(Number(False), 2, 2),
    "{any}": Keyed(Plain.FREE),
    '{text /^[a-z]+$/: ["a"]}': Keyed(Many(Fixed(("a",))), Text(patterns=("^[a-z]+$",))),
    "@secret | null": Either((Named("secret"), Plain.NULL)),
}


@pytest.mark.parametrize("written", TYPES)
def test_a_type_is_read_as_it_is_written(written: str) -> None:
    assert parsed(written) == TYPES[written]


@pytest.mark.parametrize("written", ["", "strange", "[text", "{text", "text |", "text text", "@", "{bool: text"])
def test_a_type_that_makes_no_sense_is_our_fault(written: str) -> None:
    with pytest.raises((LocalError, AssertionError)):
        parsed(written)


def test_a_name_that_is_not_defined_is_our_fault() -> None:
    with pytest.raises(LocalError, match="nowhere"):
        table.definition("nowhere")


def names(kind: table.Type, above: tuple[str, ...]) -> set[str]:
    """The definitions that a type uses; a circle among them fails."""
    match kind:
        case Named(name):
            assert name not in above
            return {name} | names(table.definition(name), (*above, name))
        case Shape(keys, other):
            inner = [key.type for key in keys.values()] + ([other.type] if other else [])
        case Keyed(item) | Many(item):
            inner = [item]
        case Either(options):
            inner = list(options)
        case _:
            inner = []
    return set().union(*(names(each, above) for each in inner))


def test_the_whole_table_can_be_read_and_every_definition_is_used() -> None:
    defined = {name[1:] for name in table._blocks() if name.startswith("@")}
    assert names(Named(table.ROOT), ()) == defined


def test_every_common_path_is_a_path_of_the_table() -> None:
    from runtime.config.openclaw.schema import find

    assert [path for path in sorted(table.common()) if find(path) is None] == []

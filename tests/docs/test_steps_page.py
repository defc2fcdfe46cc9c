"""The reference page of the steps names everything that the tables have, and draws nothing else."""

from docs.generate import steps_page
from runtime.step.edits import EDITABLE
from runtime.step.events import EVENTS
from runtime.step.kinds import StepKind
from runtime.step.table import CALL_TABLE, TABLE

TEXT = steps_page()


def test_every_name_stands_on_the_page() -> None:
    names = [kind.value for kind in StepKind] + [on.value for on in EVENTS] + list(EDITABLE)
    assert [name for name in names if f"| `{name}` |" not in TEXT] == []


def test_every_transition_has_an_arrow_and_a_row() -> None:
    for rows in (TABLE, CALL_TABLE):
        for phase, rules in rows.items():
            for on, rule in rules.items():
                assert f"| `{phase.value}` | `{on.value}` | `{rule.kind.value}` |" in TEXT
                for target in rule.to:
                    arrow = f"    {phase.value} --> {target.value} :".replace("turn-end", "turn_end")
                    assert any(line.startswith(arrow) and on.value in line for line in TEXT.splitlines())


def test_every_arrow_has_a_row() -> None:
    arrows = [line for line in TEXT.splitlines() if " --> " in line and "[*]" not in line]
    wanted = {
        (phase.value, target.value)
        for rows in (TABLE, CALL_TABLE)
        for phase, rules in rows.items()
        for rule in rules.values()
        for target in rule.to
    }
    drawn = {tuple(line.replace("turn_end", "turn-end").partition(" : ")[0].split(" --> ")) for line in arrows}
    assert {(a.strip(), b) for a, b in drawn} - wanted == {("queued", "judge")}

"""The guide names what there is."""

from pathlib import Path

from mlc_sandbox.asana.http import FAULTS
from mlc_sandbox.asana.switches import CHOICES, DEFAULTS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox-asana.md").read_text("utf-8")


def test_every_switch_has_its_line_with_every_value() -> None:
    table = GUIDE.partition("## Switches")[2].partition("## Faults")[0].splitlines()
    lines = {name: line for line in table for name in DEFAULTS if f"`{name}`" in line}
    assert set(lines) == set(DEFAULTS)
    missing = [(name, value) for name in CHOICES for value in CHOICES[name] if value not in lines[name]]
    assert missing == []


def test_every_fault_is_named() -> None:
    assert [fault for fault in FAULTS if f"| `{fault}`" not in GUIDE and f", `{fault}` |" not in GUIDE] == []

import pytest

import modes
from modes import modes_cells
from tests.refusals import refused


def test_quotients_are_taken_within_repeats() -> None:
    cells = modes_cells({("mlp", 5): {"loop": [1.0, 2.0, 4.0], "fused": [3.0, 4.0, 20.0]}})
    assert cells.head == ("network", "members", "a user's loop", "fused", "fused / loop")
    assert cells.rows == (("mlp", "5", "2.0 (1.0–4.0)", "4.0 (3.0–20.0)", "3.00 (2.00–5.00)"),)


def test_program_runs(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    table = tmp_path / "table.md"
    table.write_text("<!-- foldsweep: modes -->\n<!-- end -->\n")
    size = ("--members", "2", "--networks", "mlp", "--train-pairs", "40", "--repeats", "1")
    monkeypatch.setattr("sys.argv", ["modes.py", *size, "--write", str(table)])
    assert modes.main() == 0
    assert "member-epochs per second" in capsys.readouterr().out
    assert "\n| mlp | 2 | " in table.read_text()


@pytest.mark.parametrize("size", [("--members", "0"), ("--repeats", "0")])
def test_nothing_to_measure_is_refused(size, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["modes.py", *size])
    with refused("modes.counts-below-one"):
        modes.main()

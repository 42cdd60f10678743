import pytest

from startup import Milestone, import_cells, import_times, milestone_cells, milestones

REPORT = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |     torch._C
import time:    200000 |     200100 |   torch
import time:       300 |     200400 | sweeps.run
"""


def test_imports_are_summed_by_library() -> None:
    assert import_times(REPORT) == {"torch": 0.2001, "sweeps": 0.0003}
    assert import_cells(REPORT).rows == (("torch", "0.20"), ("all", "0.20"))


def test_milestones_are_the_first_of_their_name_but_for_the_last_trial() -> None:
    notes = [
        {"name": name, "time": time, "cpu_s": time / 2}
        for name, time in (("a", 12), ("last trial trained", 11), ("a", 10))
    ]
    notes.append({"name": "last trial trained", "time": 14, "cpu_s": 7})
    found = milestones(notes, 10)
    assert [(m.name, m.at_s, m.cpu_s) for m in found] == [
        ("a", 0, 5),
        ("last trial trained", 4, 7),
    ]


def test_table_is_of_the_fastest_run_whatever_the_order_of_others() -> None:
    a, b = Milestone(name="a", at_s=2.0, cpu_s=0.25), Milestone(name="b", at_s=3.0)
    slower = [Milestone(name="b", at_s=1.0), Milestone(name="a", at_s=4.0)]
    for runs in ([slower, [a, b]], [[a, b], slower]):
        assert milestone_cells(runs).rows == (
            ("a", "2.00", "2.00", "0.25"),
            ("b", "1.00", "3.00", ""),
        )


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(300)
def test_program_runs(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("psutil")
    import startup

    monkeypatch.setattr("sys.argv", ["startup.py", "--trials", "2", "--repeats", "1"])
    assert startup.main() == 0
    assert "first training step" in capsys.readouterr().out

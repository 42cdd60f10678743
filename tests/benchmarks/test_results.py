import math
from pathlib import Path
from typing import Any

import pytest

from peer_tools.job import Job, Recorder, read_events
from peer_tools.report import disagreements, peers_cells, target_cells
from peer_tools.results import Run, agreement, config_key, ratios, run_of, scored, spread
from tests.refusals import refused


def job(**changes: Any) -> Job:
    given = {"workload": "w", "variant": "mlp", "fixed": {}, "trials": 2, "folds": 2, "epochs": 3}
    return Job(**{**given, "axes": {"lr": [0.1, 0.2]}, "dataset": "digits", **changes})


def run(tool: str = "floor", repeat: int = 0, **changes: Any) -> Run:
    given: dict[str, Any] = {
        "wall_s": 10.0,
        "startup_s": 2.0,
        "train_s": 12.0,
        "last_s": 9.0,
        "peak_mb": 100.0,
        "processes": 2,
        "folds": 2,
        "scores": {"a": 0.5, "b": 0.75},
    }
    return Run(workload="w", tool=tool, repeat=repeat, **{**given, **changes})


def test_overhead_is_what_training_does_not_explain() -> None:
    # 10 s - 2 s until the first step - 12 / 2 s of training per process = 2 s for 2 trials
    assert run().overhead_ms == pytest.approx(1000)
    assert run().training_share == pytest.approx(12 / 20)


def test_folds_may_be_scored_one_by_one() -> None:
    whole = {"kind": "scores", "time": 1.0, "values": {"lr": 0.1}, "scores": [0.5, 1.0]}
    parts = [
        {"kind": "scores", "time": time, "values": {"lr": 0.2}, "scores": [score]}
        for time, score in ((2.0, 0.25), (3.0, 0.75))
    ]
    assert [(s.score, s.time) for s in scored([parts[0], whole, parts[1]], job())] == [
        (0.75, 1.0),
        (0.5, 3.0),
    ]
    assert not scored(parts[:1], job())


def test_configurations_that_were_stopped_early_are_not_scored() -> None:
    rung = {"kind": "scores", "time": 1.0, "values": {"lr": 0.1, "epochs": 1}, "scores": [1, 1]}
    last = {"kind": "scores", "time": 2.0, "values": {"lr": 0.1, "epochs": 3}, "scores": [0, 1]}
    assert [(s.values, s.score) for s in scored([rung, last], job())] == [({"lr": 0.1}, 0.5)]


def test_run_is_summed_up_from_events(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path))
    for lr in (0.1, 0.2):
        with recorder.training():
            pass
        recorder.scores({"lr": lr}, [lr, 3 * lr])
    events = read_events(tmp_path)
    assert [event["kind"] for event in events] == 2 * ["start", "trained", "scores"]
    launched = events[0]["time"] - 5
    found = run_of(job(), "floor", 0, events, launched=launched, wall_s=8.0, peak_mb=1.0, mark=0.3)
    assert found.startup_s == pytest.approx(5)
    assert found.scores == {config_key({"lr": lr}): pytest.approx(2 * lr) for lr in (0.1, 0.2)}
    assert found.reached_s == pytest.approx(events[-1]["time"] - launched)
    assert 0 <= found.train_s < 1 <= found.last_s


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "start", "time": 1}\n{"kind": "tra')
    assert read_events(tmp_path) == [{"kind": "start", "time": 1}]


def test_a_run_is_kept_with_what_it_depends_on(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert Run.load(path, {}) is None
    run().save(path, {"widths": (1, 2)})
    assert Run.load(path, {"widths": (1, 2)}) == run()
    other = {"setting": "widths", "found": [1, 2], "wanted": [1, 3]}
    with refused("peer-results.other-settings", path=path, **other):
        Run.load(path, {"widths": (1, 3)})


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"made_by": {}, "bogus": 1}'])
def test_a_damaged_result_is_named_and_kept(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with refused("peer-results.file-damaged", path=path):
        Run.load(path, {})
    assert path.read_text() == text


def test_ratios_are_taken_within_repeats() -> None:
    slow = [run("slow", 0, wall_s=30.0), run("slow", 1, wall_s=10.0), run("slow", 2)]
    ours = [run("ours", 1, wall_s=5.0), run("ours", 0, wall_s=10.0)]
    assert ratios(slow, ours, "wall_s") == [3.0, 2.0]
    assert spread([3.0, 2.0, 10.0]).shown(1) == "3.0 (2.0–10.0)"
    assert spread([2.0]).shown(0) == "2"
    assert ratios(slow, ours, "reached_s") == []  # no run has reached its target


def test_noise_is_agreement_and_a_shift_is_none() -> None:
    floor = [run(scores={str(i): 0.9 for i in range(40)})]
    noisy = [run("x", scores={str(i): 0.9 + 0.01 * (-1) ** i for i in range(40)})]
    shifted = [run("x", scores={str(i): 0.91 + 0.01 * (-1) ** i for i in range(40)})]
    assert agreement(noisy, floor).holds
    assert not agreement(shifted, floor).holds
    assert agreement(shifted, floor).mean == pytest.approx(0.01)
    assert agreement(floor, floor).holds
    assert agreement(floor, floor).shown() == "0, all equal"


def test_a_missing_or_constantly_shifted_score_is_no_agreement() -> None:
    floor = [run()]
    assert not agreement([run(scores={"a": 0.5})], floor).holds
    assert not agreement([run(scores={"a": 0.25, "b": 0.5})], floor).holds
    nothing = agreement([run(repeat=1)], floor)
    assert not nothing.holds
    assert math.isnan(nothing.mean)


def test_tables_have_a_row_for_each_tool_and_say_what_is_missing() -> None:
    runs = {
        "foldsweep": [run("foldsweep", repeat) for repeat in range(2)],
        "floor": [run(repeat=repeat, wall_s=5.0) for repeat in range(2)],
        "ray_tune": [run("ray_tune", r, scores={"a": 0.1, "b": 0.35}) for r in range(2)],
    }
    cells = peers_cells("title", runs, {"syne_tune": "not installed"})
    rows = {row[0]: row for row in cells.rows}
    assert rows["foldsweep"][1] == "2"
    assert rows["foldsweep"][3] == "1"
    assert rows["foldsweep"][-1] == "0, all equal"
    assert rows["floor: bare fold stacks"][3] == "0.50 (0.50–0.50)"
    assert rows["Syne Tune"][1] == "left out: not installed"
    assert rows["Ray Tune"][-1] == "**-40.00 ± 0.00**"
    assert set(disagreements(runs)) == {"ray_tune"}
    assert all(len(row) == len(cells.head) for row in cells.rows)


def test_marks_that_are_not_reached_are_no_times() -> None:
    runs = {
        "foldsweep": [run("foldsweep", 0, reached_s=4.0), run("foldsweep", 1, reached_s=6.0)],
        "optuna": [run("optuna", 0, reached_s=8.0), run("optuna", 1)],
        "sklearn": [run("sklearn", 0)],
    }
    cells = target_cells("title", runs, {}, limit_s=60)
    rows = {row[0]: row[1:4] for row in cells.rows}
    assert rows["foldsweep"] == ("2 of 2", "5 (4–6)", "1")
    assert rows["Optuna, joblib"] == ("1 of 2", "8", "2.00")
    assert rows["scikit-learn, skorch"] == ("0 of 1", "> 60", "")

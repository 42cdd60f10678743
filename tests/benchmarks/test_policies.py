import gzip
from pathlib import Path

import pytest

import policies
from policies import RECORDS, Candidate
from policy_tools.counting import counted
from policy_tools.curves import Curve, Recording, read, read_all, write
from policy_tools.replay import Policy, Trial, Whole, numbered, promotion, stopping
from sweeps.pruning import RungRule
from tests.refusals import refused

MOST_BYTES = 2_000_000
RUNGS = (1, 2)


def trials(finals: list[float]) -> list[Trial]:
    """Trials of six epochs with a constant score, so that their ranking never changes."""
    return [Trial([final] * 6, seconds=6.0) for final in finals]


def recording(finals: list[float], better: str = "higher") -> Recording:
    """Recording in which every second trial has a score 9 lower at the first epoch."""
    curves = tuple(
        Curve(values={}, seconds=1.0, scores=((final - i % 2 * 9,), (final,), (final, final)))
        for i, final in enumerate(finals)
    )
    return Recording(
        name="made", about="up", objective="score", better=better, epochs=3, curves=curves
    )


def test_stopping_counts_what_it_trains() -> None:
    policy = stopping(RungRule(RUNGS), RUNGS)
    done = policy(trials([3, 2, 1]), 1)
    assert done.whole == [
        Whole(0, 1.0, pytest.approx(8.0 - 2))
    ]  # trial 0 continues, the others stop after one sixth of the epochs
    assert done.cost == pytest.approx(1 + 2 / 6)
    assert (done.seconds, done.idle) == (pytest.approx(8.0), pytest.approx(0.0))


def test_pausing_counts_what_it_trains() -> None:
    finals = [float(i) for i in range(9)]
    done = promotion(RUNGS, (3, 3))(trials(finals), 1)
    # epoch 1: 9 trials; epoch 2: the best of the first 3, 4, ..., 9; then only whole trials
    assert done.cost == pytest.approx((9 + 7) / 6 + len(done.whole) * 4 / 6)
    assert [whole.trial for whole in done.whole] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("policy", [promotion(RUNGS, (3, 3)), promotion(RUNGS, (3, 3), (2, 4, 8))])
def test_more_workers_train_the_same(policy: Policy) -> None:
    met = trials([float(i * 7 % 13) for i in range(13)])
    alone, many = policy(met, 1), policy(met, 4)
    assert {w.trial for w in alone.whole} == {w.trial for w in many.whole}
    assert many.cost == pytest.approx(alone.cost)
    assert many.seconds < alone.seconds
    assert 0 < many.idle < 1


def test_a_trial_without_its_checkpoint_is_trained_again() -> None:
    met = trials([float(i * 7 % 13) for i in range(13)])
    kept = [promotion(RUNGS, (3, 3), checkpoints=n)(met, 1) for n in (13, 4, 2, 0)]
    whole, none = kept[0], kept[-1]
    assert [w.trial for w in none.whole] == [w.trial for w in whole.whole]
    repeated = [done.repeated for done in kept]
    assert repeated[0] == 0 < none.repeated
    assert repeated == sorted(repeated)
    for done in kept:
        assert done.cost == pytest.approx(whole.cost + done.repeated)


def test_by_job_every_result_is_waited_for_without_lags() -> None:
    met = trials([float(i * 7 % 13) for i in range(13)])
    assert numbered(RUNGS, (3, 3), (1, 1, 1))(met, 4).idle == pytest.approx(0.75)


def test_regret_and_cost_are_those_of_what_was_found() -> None:
    finals = [float(i) for i in range(10)]
    made, policy = recording(finals), stopping(RungRule((1,)), (1,))
    orders = {"num_trials": 10, "orders": 20, "seed": 0, "workers": (1, 2)}
    found = counted("stopping", "", made, policy, **orders)
    assert 0 < found.lost_best < 1
    assert found.regret > 0
    whole = counted("none", "", made, stopping(RungRule(()), ()), **orders)
    assert (whole.lost_best, whole.regret, whole.cost, whole.whole) == (0, 0, 10, 10)
    assert (
        2 < whole.cost_to_good < 3.5
    )  # expected place of the first of the 3 best among 10: (10 + 1) / (3 + 1)
    assert whole.idle[1] == pytest.approx(0)


def test_lower_is_better_where_the_recording_says_so() -> None:
    made = recording([1.0, 2.0], better="lower")
    assert [made.means(curve)[-1] for curve in made.curves] == [-1.0, -2.0]


def test_what_was_not_measured_is_what_was_known_by_then() -> None:
    curve = Curve(values={}, seconds=1.0, scores=((), (2.0,), (), (4.0, 6.0)))
    made = Recording(name="m", about="", objective="a", better="higher", epochs=4)
    assert made.means(curve) == (2.0, 2.0, 2.0, 5.0)


def test_a_diverged_trial_is_the_worst(tmp_path: Path) -> None:
    curve = Curve(values={}, seconds=1.0, scores=((0.5,), (float("nan"), 0.5)))
    made = Recording(name="m", about="", objective="a", better="higher", epochs=3, curves=(curve,))
    assert made.means(curve) == (0.5, float("-inf"), float("-inf"))
    write(made, tmp_path / "one.jsonl.gz")
    assert read(tmp_path / "one.jsonl.gz").means(curve) == made.means(curve)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = (RECORDS / "cnn_aux.jsonl.gz").read_bytes()
    for content, kind in (
        (b"text", "policy-curves.file-unreadable"),
        (whole[:2000], "policy-curves.not-a-recording"),
        (gzip.compress(b"{}\n"), "policy-curves.not-a-recording"),
    ):
        path.write_bytes(content)
        with refused(kind, path=path):
            read(path)
    path.unlink()
    with refused("policy-curves.recordings-missing", places=tmp_path):
        read_all([tmp_path])


def test_recordings_are_small_and_complete() -> None:
    files = sorted(RECORDS.glob("*.jsonl.gz"))
    assert len(files) >= 5
    for file in files:
        assert file.stat().st_size < MOST_BYTES
        made = read(file)
        assert len(made.sampled) >= 37
        assert all(len(made.means(curve)) == made.epochs for curve in made.curves)


def test_rungs_are_epochs_or_shares() -> None:
    assert Candidate().at(30) == (3, 10)
    assert Candidate((0.1, 10.0, 40.0)).at(30) == (3, 10)


def test_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    table = tmp_path / "table.md"
    table.write_text("<!-- foldsweep: policies-all -->\n<!-- end -->\n")
    file = str(RECORDS / "cnn_aux.jsonl.gz")
    options = ("--records", file, "--orders", "5", "--trials", "20", "--workers", "1", "2")
    rule = ("--rungs", "3", "--reduction", "2", "--lags", "2", "4")
    monkeypatch.setattr("sys.argv", ["policies.py", *options, *rule, "--write", str(table)])
    assert policies.main() == 0
    assert "20 of 37 recorded trials in 5 orders, seed 0" in capsys.readouterr().out
    assert "| pausing at 3 by 2 | by trial 2, 4 | " in table.read_text()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("--orders", "0"), "policies.counts-too-small"),
        (("--trials", "99"), "policies.more-trials-than-recorded"),
        (("--lags", "1", "2"), "policies.rungs-do-not-fit"),
        (("--records", "nowhere.jsonl.gz"), "policy-curves.file-unreadable"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    options, kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["policies.py", *options])
    with refused(kind):
        policies.main()

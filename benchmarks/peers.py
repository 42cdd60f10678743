"""Comparison of foldsweep with other tools: `python benchmarks/peers.py`, see `--help`."""

import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

from mlflow import MlflowClient

from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from peer_tools.checks import (
    REQUIREMENTS,
    last_words,
    made_folder,
    require_document,
    require_psutil,
)
from peer_tools.job import JOB_VARIABLE, Job, read_events
from peer_tools.report import disagreements, here, peers_cells, show, target_cells
from peer_tools.results import Run, run_of, scored
from peer_tools.tools import BENCHMARKS, TOOLS
from peer_tools.workloads import Workload, workloads
from sweeps.provenance import versions
from sweeps.reproduction.tables import Cells, write_between_marks

WorkloadName = Literal["w1", "w2", "w3", "w4"]
ToolName = Literal[
    "foldsweep",
    "foldsweep_bfloat16",
    "ray_tune",
    "ray_tune_reuse",
    "optuna",
    "sklearn",
    "syne_tune",
    "floor",
]  # the keys of TOOLS, as literals for the help
QUICK_PAIRS = 200
QUICK_MARK = 0.5
QUICK_LIMIT_S = 120.0

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # there is one process per core, so one thread per process
    "RAY_worker_niceness": "0",  # else Ray's workers run at niceness 15, unlike other tools'
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment variables, the same for all tools."""


@dataclass(frozen=True, kw_only=True)
class PeersSettings:
    """Do the same work with foldsweep, with other tools, and with a bare loop; compare.

    The tools run in turn within each repeat. Needs `pip install -r benchmarks/requirements.txt`;
    a tool that is not installed is left out, and the table says so. Results are kept in --folder,
    so an interrupted call can be repeated and continues.
    """

    workloads: tuple[WorkloadName, ...] = ("w1", "w2", "w3", "w4")
    """Workloads: w1 perceptrons, w2 convolutional nets, w3 tiny trials, w4 time to a target."""
    tools: tuple[ToolName, ...] = get_args(ToolName)
    """Tools to run. Ratios need foldsweep; the check of scores needs the floor."""
    repeats: int = 3
    """Repeats of each workload, each with its own pairs, folds and seeds."""
    quick: bool = False
    """Run a few tiny trials of each workload once: a check that all works; times mean little."""
    trials: int | None = None
    """Maximum number of trials in w1, w2 and w3."""
    processes: int = 2
    """Trials at a time."""
    dataset: Literal["mnist", "digits"] | None = None
    """Data set [mnist; digits in a quick run]."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA]."""
    mark: float = 0.965
    """Cross-validated accuracy that ends a run of w4."""
    limit_s: float = 1800.0
    """Time limit of a run in seconds, at least 1."""
    folder: Path | None = None
    """Folder of the results [runs/peers; in a quick run runs/peers-quick]."""
    measured_only: bool = False
    """Print and write the results so far, even if incomplete, and measure nothing."""
    write: Path | None = None
    """Document whose tables are replaced, such as docs/performance.md."""


def main() -> int:
    """Measure the missing runs and print the tables; returns 1 if scores disagree, else 0."""
    settings = parse(PeersSettings, sys.argv[1:], prog="benchmarks/peers.py")
    _check(settings)
    folder = settings.folder or Path("runs/peers-quick" if settings.quick else "runs/peers")
    folder = folder.resolve()
    if not settings.measured_only:
        made_folder(folder)
    left_out = _left_out(settings)
    head = _head(settings)
    console.print(head)
    runs: dict[str, dict[str, list[Run]]] = {}
    for run in _runs(settings, folder, left_out):
        runs.setdefault(run.workload, {}).setdefault(run.tool, []).append(run)
    wrong = False
    blocks = {"peers-machine": f"{head}\n"}
    for name, found in runs.items():
        cells = _cells(settings, name, found, left_out)
        blocks[f"peers-{name}"] = cells.markdown()
        show(cells)
        for tool, agreed in disagreements(found).items() if name != "w4" else ():
            wrong = True
            console.print(
                f"SCORES DISAGREE: {tool} in {name}: {agreed.shown()} points from the floor"
                f" (n = {agreed.n}, p = {agreed.p:.2g}); {agreed.missing} scores without partner"
            )
    if not runs:
        raise UserError.of("peers.nothing-measured", folder=folder)
    if settings.write is not None:
        write_between_marks(settings.write, blocks)
    return int(wrong)


def _check(settings: PeersSettings) -> None:
    require_psutil()
    require_at_least(1, settings, "repeats", "processes", "trials", "limit_s")
    if not settings.tools or not settings.workloads:
        raise UserError.of("peers.tools-or-workloads-missing")
    require_document(settings.write, [f"peers-{name}" for name in settings.workloads])


def _left_out(settings: PeersSettings) -> dict[str, str]:
    left_out: dict[str, str] = {
        name: f"{', '.join(tool.missing)} not installed"
        for name, tool in TOOLS.items()
        if name in settings.tools and tool.missing
    }
    for name, why in left_out.items():
        console.print(f"{name} is left out: {why}; {REQUIREMENTS}")
    return left_out


def _head(settings: PeersSettings) -> str:
    """Return the machine and the versions of libraries, in a sentence."""
    modules = {need for tool in TOOLS.values() if not tool.missing for need in tool.needs}
    found = versions() | {name: version(name.replace("_", "-")) for name in modules}
    libraries = ", ".join(f"{name} {of}" for name, of in sorted(found.items()))
    kind = "; a quick run" if settings.quick else ""
    return (
        f"{here()}; {settings.processes} processes, one torch thread each{kind}; n: repeats; of"
        f" several, median (least–most). {libraries}"
    )


def _runs(settings: PeersSettings, folder: Path, left_out: Mapping[str, str]) -> Iterator[Run]:
    every = workloads()
    names = [name for name in TOOLS if name in settings.tools and name not in left_out]
    for workload in dict.fromkeys(settings.workloads):
        for repeat in range(1 if settings.quick else settings.repeats):
            turn = repeat % len(names)
            for name in names[turn:] + names[:turn]:  # so that no tool is always the first
                if workload == "w4" and not TOOLS[name].prunes:
                    continue
                run = _run(settings, folder, every[workload], name, repeat)
                if run is not None:
                    yield run


def _run(
    settings: PeersSettings, folder: Path, workload: Workload, name: str, repeat: int
) -> Run | None:
    """Return the run of an earlier call, else measure it; None with `measured_only`."""
    stem = f"{workload.job.workload}-{name}-{repeat}"
    job = _job(settings, workload, repeat, folder / stem)
    mark, limit_s = _end(settings, job)
    made_by = {**asdict(job), "mark": mark, "limit_s": limit_s}
    del made_by["folder"]  # it may be moved
    path = folder / f"{stem}.json"
    run = Run.load(path, made_by)
    if run is not None or settings.measured_only:
        return run
    run = _measured(job, name, repeat, limit_s, mark, _empty_mlflow(folder))
    run.save(path, made_by)
    console.print(
        f"{job.workload} {name} {repeat}: {run.wall_s:.1f} s, start-up {run.startup_s:.1f} s,"
        f" {len(run.scores)} trials, best {max(run.scores.values(), default=0):.4f}"
    )
    return run


def _end(settings: PeersSettings, job: Job) -> tuple[float | None, float]:
    """Return the score that ends a run, None for none, and its time limit in seconds."""
    if not job.ranges:
        return None, settings.limit_s
    return (QUICK_MARK, QUICK_LIMIT_S) if settings.quick else (settings.mark, settings.limit_s)


def _job(settings: PeersSettings, workload: Workload, repeat: int, folder: Path) -> Job:
    dataset = settings.dataset or ("digits" if settings.quick else "mnist")
    return workload.made(
        quick=settings.quick,
        trials=None if workload.job.ranges else settings.trials,
        dataset=dataset,
        data_dir=None if settings.data_dir is None else str(settings.data_dir.resolve()),
        train_pairs=QUICK_PAIRS if settings.quick else None,
        seed=repeat,
        processes=settings.processes,
        folder=str(folder),
    )


def _measured(
    job: Job, name: str, repeat: int, limit_s: float, mark: float | None, database: Path
) -> Run:
    from peer_tools.measure import measure  # needs psutil

    folder = Path(job.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    environment = {
        **ENVIRONMENT,
        JOB_VARIABLE: str(job.save()),
        "PYTHONPATH": str(BENCHMARKS),
        "SYNETUNE_FOLDER": str(folder / "syne-tune"),
    }

    def enough() -> bool:
        if mark is None:
            return False
        return any(s.score >= mark for s in scored(read_events(folder), job))

    seen = measure(TOOLS[name].command(job), folder, environment, limit_s=limit_s, enough=enough)
    events = read_events(folder)
    if seen.code not in (0, None) or not events:
        output = last_words(folder / "output.log")
        raise UserError.of("peers.tool-failed", tool=name, workload=job.workload, output=output)
    return run_of(
        job,
        name,
        repeat,
        events,
        launched=seen.launched,
        wall_s=seen.wall_s,
        peak_mb=seen.peak_mb,
        mark=mark,
    )


def _empty_mlflow(folder: Path) -> Path:
    """Return an empty MLflow database; creating its tables takes seconds, so it is not timed."""
    path = folder / "empty-mlflow.db"
    if not path.exists():
        part = path.with_suffix(".part")
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it logs each table
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments()
        part.replace(path)
    return path


def _cells(
    settings: PeersSettings, name: str, runs: dict[str, list[Run]], left_out: Mapping[str, str]
) -> Cells:
    workload = workloads()[name]
    job = _job(settings, workload, 0, Path())
    trials = "" if job.ranges else f"{job.trials} trials of "
    what = f"{workload.title}: {trials}{job.folds} folds x {job.epochs} epochs, {job.dataset}"
    mark, limit_s = _end(settings, job)
    if mark is None:
        return peers_cells(what, runs, left_out)
    return target_cells(f"{what}, mark {mark:g}", runs, left_out, limit_s)


if __name__ == "__main__":
    run_program(main)

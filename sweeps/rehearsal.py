"""Dry run of a sweep, `run.py --dry-run`: nothing is written, and no Ray is started."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from foldsweep.numbers import plural, shown_seconds
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import shown
from search_spaces.space import SearchSpace
from sweeps.budget import num_asked, num_sampled
from sweeps.catalogue import kept, shown_size
from sweeps.gate import Gate
from sweeps.handover import Given
from sweeps.jobs import mean_epochs, rungs_of
from sweeps.launch import taken
from sweeps.messages import described
from sweeps.passwords import masked_url
from sweeps.preflight import LEAST_UNITS, first_configs
from sweeps.prepare import Prepared, check_tracking, prepared
from sweeps.processors import available_cpus
from sweeps.progress import shown_time
from sweeps.pruning import in_force, make_rule, rung_epochs
from sweeps.resources import Allotment, Capacity, allot, cpus_per_trial
from sweeps.settings import SweepSettings
from sweeps.settings_file import SETTINGS_FILE, check_place
from sweeps.spaces import ranges
from sweeps.study import JOURNAL_FILE
from sweeps.sweep import most_epochs
from trainables.models.estimators.config import EstimatorConfig
from trainables.stack.memory import memory
from trainables.trial import Context, CrossValidation

OFFLINE = "FOLDSWEEP_OFFLINE"
AGAIN_WITHIN_S = 2.0
"""Seconds. A shorter epoch is timed again: the first epoch of a process takes longer, on a GPU by
half a second."""
START_S, EACH_S = 8.0, 0.05
"""Seconds that the sweep of a space takes to start, and that a trial takes besides its training;
measured on two processors, see docs/performance.md."""
MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Measured time and memory of a space's initial point, all folds together."""

    point: str
    unit_s: float
    """Seconds of an epoch, or of a unit of an estimator's resource."""
    build_s: float
    """Seconds until the first epoch begins."""
    gpu_bytes: int


def rehearse(
    settings: SweepSettings, stored: SweepSettings | None, given: Given | None = None
) -> int:
    """Print what a sweep would do; return the exit code. Call it in a process of its own.

    Args:
        settings: Validated settings.
        stored: Settings of the sweep to resume; None for a new one.
        given: Task and spaces that a program has made.

    Raises:
        UserError: If a check that writes nothing fails.
    """
    sys.dont_write_bytecode = True  # no `__pycache__` beside user's files
    os.environ[OFFLINE] = "1"
    console.print(text("rehearsal.nothing-written"))
    folder = settings.local_root / (settings.resume or settings.name or "NAME")
    if stored is None and settings.name and (folder / SETTINGS_FILE).exists():
        raise taken(settings.name)
    if stored is not None:
        check_place(folder)
    check_tracking(settings, stored)
    ready = prepared(settings, stored, given, dry=True)
    for line in _told(ready, stored, folder):
        console.print(line)
    return 0


def estimate(space: SearchSpace, settings: SweepSettings, unit_s: float) -> tuple[float, float]:
    """Mean seconds of a trial: with the expected early stopping, and without any.

    Args:
        space: The space.
        settings: Settings of the sweep.
        unit_s: Seconds of an epoch, or of a unit of an estimator's resource.
    """
    epochs = most_epochs(space, settings)
    scheduler = in_force(settings, num_sampled(space, settings))
    if scheduler == "asha":
        mean = mean_epochs(rungs_of(settings, epochs, space.most_rungs), epochs)
    else:
        rungs = rung_epochs(epochs, space.most_rungs)
        mean = make_rule(scheduler, epochs, rungs).mean_epochs(epochs)
    return mean * unit_s, epochs * unit_s


def _told(ready: Prepared, stored: SweepSettings | None, folder: Path) -> Iterator[str]:
    settings = ready.settings
    yield text(
        "rehearsal.would-start" if stored is None else "rehearsal.would-resume",
        name=settings.resume or settings.name or text("rehearsal.name-from-time"),
        sweep=described(settings, ready.task, ready.data),
    )
    number = len(ready.folds)
    train = sum(len(fold.train) for fold in ready.folds) / number
    held_out = sum(len(fold.val) for fold in ready.folds) / number
    test = 0 if ready.data.test is None else len(ready.data.test)
    selects = settings.select_on_test
    yield text(
        "rehearsal.folds",
        folds=number,
        train=f"{train:,.0f}",
        held_out=f"{held_out:,.0f}",
        test=text(
            "rehearsal.test-rows-held-out" if selects else "rehearsal.test-rows-untouched",
            rows=f"{test:,}",
        ),
    )
    yield from filter(None, ready.said)
    allotment = _allotment(settings)
    timed = []
    for space in ready.spaces:
        yield from _space(space, settings)
        yield f"  {text('rehearsal.timing', space=space.name)}"
        timed.append(_time(space, ready, allotment))
        yield f"  {_timed(space, timed[-1])}"
    yield from _resources(settings, allotment)
    ended = 0 if stored is None else kept(folder).trials or 0
    yield _time_line(ready, timed, allotment, ended)
    yield _memory_line(allotment, timed)
    yield from _places(settings, ready.spaces, folder)


def _space(space: SearchSpace, settings: SweepSettings) -> Iterator[str]:
    asked, epochs = num_asked(space, settings), most_epochs(space, settings)
    trials = plural(asked, "trial")
    if space.points:
        points = plural(min(asked, len(space.points)), "initial point")
        trials += text("rehearsal.including", points=points)
    variant = space.variant.full_name
    yield text("rehearsal.space", space=space.name, variant=variant, trials=trials)
    if space.resource is not None:
        scheduler = in_force(settings, num_sampled(space, settings))
        rungs = " and ".join(map(str, rung_epochs(epochs, space.most_rungs)))
        said = text("rehearsal.most-epochs", most=epochs, resource=space.resource)
        if rungs and scheduler != "none":
            said += text("rehearsal.compared-at", scheduler=scheduler, rungs=rungs)
        yield f"  {said}"
    yield from ranges(space)


def _allotment(settings: SweepSettings) -> Allotment:
    """Resources of a trial here; for a cluster, which is not contacted, the requested ones."""
    if settings.address is not None:
        return Allotment(
            cpus=cpus_per_trial(settings), gpus=0.0, concurrency=settings.concurrency or 1
        )
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return allot(
        settings, [Capacity(node="this machine", cpus=available_cpus(), gpus=float(gpus))]
    )


def _time(space: SearchSpace, ready: Prepared, allotment: Allotment) -> Timed:
    """Time an epoch of the initial point on all folds; for an estimator, a few units."""
    settings = ready.settings
    config = first_configs(space, Gate(space, settings.limits, ready.data))[0]
    torch.set_num_threads(allotment.threads)
    torch.zeros(1, device=allotment.device)  # a GPU is initialised once, not in each trial
    context = Context(
        data=ready.scored,
        folds=ready.folds,
        seed=settings.seed,
        report_at=(config.epochs,),
        threads=allotment.threads,
        device=allotment.device,
        mode=settings.mode,
    )
    start = time.perf_counter()
    trial = CrossValidation(space.variant, config, context, 0)
    build_s = time.perf_counter() - start
    refits = issubclass(space.variant.config, EstimatorConfig)
    units = min(config.epochs, LEAST_UNITS) if refits else 1
    start = time.perf_counter()
    trial.advance(units)
    unit_s = (time.perf_counter() - start) / units
    if not refits and unit_s < AGAIN_WITHIN_S and not trial.finished:
        start = time.perf_counter()
        trial.advance(2)
        unit_s = time.perf_counter() - start
    on_gpu = allotment.device == "cuda"
    return Timed(
        point=space.points[0].name if space.points else text("rehearsal.random-configuration"),
        unit_s=unit_s,
        build_s=build_s,
        gpu_bytes=torch.cuda.max_memory_allocated() if on_gpu else 0,
    )


def _timed(space: SearchSpace, timed: Timed) -> str:
    point, seconds = timed.point, shown_seconds(timed.unit_s)
    if space.resource is None:
        return text("rehearsal.fit-takes", point=point, seconds=seconds)
    if space.resource == "epochs":
        return text("rehearsal.epoch-takes", point=point, seconds=seconds)
    what = space.resource
    return text("rehearsal.unit-takes", point=point, resource=what, seconds=seconds)


def _resources(settings: SweepSettings, allotment: Allotment) -> Iterator[str]:
    each = f"{allotment.cpus:g} CPU{'s' * (allotment.cpus != 1)}"
    if allotment.gpus:
        each = text("rehearsal.cpus-and-gpus", cpus=each, gpus=f"{allotment.gpus:g}")
    if settings.address is not None:
        yield text("rehearsal.on-cluster", each=each, address=settings.address)
        return
    yield text(
        "rehearsal.on-this-machine",
        trials=plural(allotment.concurrency, "trial"),
        each=each,
        threads=plural(allotment.threads, "thread"),
        mode=settings.mode,
    )


def _time_line(ready: Prepared, timed: list[Timed], allotment: Allotment, ended: int) -> str:
    """Line with the estimated time of the sweep, from its initial points."""
    least = most = START_S * len(timed)
    for space, found in zip(ready.spaces, timed, strict=True):
        trials = num_asked(space, ready.settings)
        done, ended = min(trials, ended), max(0, ended - trials)
        few, all_ = estimate(space, ready.settings, found.unit_s)
        waves = (trials - done) / min(allotment.concurrency, max(1, trials - done))
        budget = ready.settings.time_budget or float("inf")
        least += min(budget, waves * (few + found.build_s + EACH_S))
        most += min(budget, waves * (all_ + found.build_s + EACH_S))
    said = text("rehearsal.time", most=shown_time(most))
    if round(least) < round(most):
        said = text("rehearsal.time-range", least=shown_time(least), most=shown_time(most))
    if ready.settings.address is not None and ready.settings.concurrency is None:
        said += text("rehearsal.one-at-a-time")
    return said


def _memory_line(allotment: Allotment, timed: list[Timed]) -> str:
    """Line with the estimated memory, as if each trial's process took as much as this one."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    total = peak * (allotment.concurrency + 1)
    there = _available()
    said = text(
        "rehearsal.memory",
        trial=shown_size(peak),
        whole=shown_size(total),
        concurrency=allotment.concurrency,
        available=shown_size(there),
    )
    if total > there:
        said += text("rehearsal.too-much-memory")
    most = max(found.gpu_bytes for found in timed)
    return said + (text("rehearsal.gpu-memory", trial=shown_size(most)) if most else "")


def _available() -> int:
    """Bytes that this process may use now."""
    most = memory()
    if MEMORY_INFO.is_file():
        for line in MEMORY_INFO.read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return min(most, int(line.split()[1]) * 1024)
    return most


def _places(settings: SweepSettings, spaces: list[SearchSpace], folder: Path) -> Iterator[str]:
    """Lines with the places that the sweep would write to."""
    here = folder.resolve()
    yield f"folder: {here}"
    if settings.study is None:
        for space in spaces:
            yield f"study: {here / space.name / JOURNAL_FILE}"
    else:
        studies = ", ".join(f"{folder.name}/{space.name}" for space in spaces)
        yield text("rehearsal.studies", url=masked_url(settings.study), names=studies)
    yield f"checkpoints: {shown(settings.checkpoint_root(folder.name))}"
    uri = shown(settings.tracking_uri or "")
    yield text("rehearsal.mlflow", uri=uri, experiment=settings.experiment)

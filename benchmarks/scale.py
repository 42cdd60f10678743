"""Load of the driver by number of trials at a time: `python benchmarks/scale.py`, see `--help`.

This does not need thousands of machines. The work of Tune and the lifecycle for a trial depends on
the number of trials in flight, and these can be simulated without processes: pending futures of
one actor, trials in a study without training, rows in a table of nodes. A few real processes on
this machine show the cost of the whole driver per trial, see `--processes`.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from werkzeug.serving import WSGIRequestHandler

from foldsweep.programs import console, parse, require_at_least, run_program
from peer_tools.checks import require_document, require_psutil
from peer_tools.report import here, publish
from peer_tools.tiny import emptied, swept
from sweeps.reproduction.tables import Cells

SPACE = "mlp"
EVENTS_PER_TRIAL = 2
"""Futures that Tune waits for in a short trial: the receipt of the configuration, the result."""
CPUS_OF_NODE = 8
CHECKPOINTS = 20
NAME = "scale"


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """Measure the driver's CPU time per trial, by number of trials at a time."""

    in_flight: tuple[int, ...] = (10, 100, 1000, 10_000)
    """Numbers of simulated trials at a time, one row each."""
    processes: tuple[int, ...] = (2, 8, 24)
    """Numbers of trials at a time with real processes, which share this machine's CPUs."""
    trials: int = 1000
    """Trials of each sweep with real processes."""
    events: int = 200
    """Events and trials that are timed for each row of the first table."""
    folder: Path = Path("runs/scale")
    """Folder of the sweeps; earlier sweeps in it are deleted."""
    limit_s: float = 3600.0
    """Time limit of a sweep in seconds."""
    write: Path | None = None
    """Document whose tables are replaced, such as docs/scale.md."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Costs with a number of trials in flight, in ms of the driver's CPU time."""

    in_flight: int
    wait_ms: float
    """CPU time of Tune's wait for the next of all futures."""
    lifecycle_ms: float
    """CPU time to ask for a trial and record its end, with the study in memory."""
    nodes_ms: float
    """CPU time of a check of all nodes, which the driver does every few seconds."""

    @property
    def trial_ms(self) -> float:
        """CPU time of the driver per trial, without checks of nodes."""
        return self.lifecycle_ms + EVENTS_PER_TRIAL * self.wait_ms

    @property
    def shortest_s(self) -> float:
        """Shortest duration of trials, in seconds, at which the driver keeps all of them busy."""
        return self.in_flight * self.trial_ms / 1000


def main() -> int:
    """Measure and print the tables; returns the exit code."""
    settings = parse(ScaleSettings, sys.argv[1:], prog="benchmarks/scale.py")
    require_psutil()
    require_at_least(1, settings, "trials", "events")
    require_document(settings.write, ("in flight", "processes", "store"))
    waits = waiting(settings.in_flight, settings.events)
    rows = [
        Row(
            in_flight=number,
            wait_ms=waits[number],
            lifecycle_ms=living(number, settings.events),
            nodes_ms=looking(max(1, number // CPUS_OF_NODE)),
        )
        for number in settings.in_flight
    ]
    tables = {"in flight": in_flight_cells(rows)}
    tables["store"] = store_cells(storing(CHECKPOINTS))
    driven = {number: sweep(number, settings) for number in settings.processes}
    tables["processes"] = process_cells(driven, settings.trials)
    publish(tables, settings.write, f"{here()}; nodes of {CPUS_OF_NODE} trials each")
    return 0


def waiting(numbers: Sequence[int], events: int) -> dict[int, float]:
    """Return the CPU time in ms of one wait of Tune's actor manager, by number of futures."""
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    most = max(numbers) + events + 10

    @ray.remote(num_cpus=0, max_concurrency=most)
    class Trials:
        async def train(self, seconds: float) -> None:
            import asyncio

            await asyncio.sleep(seconds)

    try:
        trials = Trials.remote()  # type: ignore[attr-defined]
        pending: list[Any] = []
        found = {}
        for number in sorted(numbers):
            pending += [trials.train.remote(1e9) for _ in range(number - len(pending))]
            ended = [trials.train.remote(0.0) for _ in range(events)]
            ray.wait(ended, num_returns=events)
            started = time.process_time()
            for one in ended:
                futures = [*pending[:-1], one]
                random.shuffle(futures)
                assert ray.wait(futures, num_returns=1, timeout=0.1)[0] == [one]
            found[number] = 1000 * (time.process_time() - started) / events
        return found
    finally:
        ray.shutdown()


class NoTracker:
    """A tracker that discards all records; `benchmarks/growth.py` measures the real one."""

    def open_trials(self) -> set[int]:
        """Return no trials."""
        return set()

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


def living(in_flight: int, events: int) -> float:
    """Return the CPU time in ms of a trial's start and end in the lifecycle.

    Meanwhile, `in_flight` other trials count as being trained.
    """
    from optuna.storages import InMemoryStorage

    from search_spaces.loading import load_space
    from sweeps.ledger import Ledger
    from sweeps.lifecycle import Lifecycle
    from sweeps.settings import SweepSettings

    space = load_space(SPACE)
    settings = SweepSettings(
        space=(SPACE,), trials=in_flight + events, sampler="random", scheduler="none"
    ).for_task(space.variant.task)
    ledger = Ledger(InMemoryStorage(), f"{NAME}/{SPACE}", space, settings, epochs=1, identity={})
    with tempfile.TemporaryDirectory() as folder:
        tracker: Any = NoTracker()
        life = Lifecycle(
            ledger,
            tracker,
            space=space,
            objective=settings.objective,
            epochs=1,
            report_at=(1,),
            tags={},
            dataset={},
            checkpoint_folder=folder,
            error_folder=Path(folder),
            held_out_folder=Path(folder),
            time_budget=None,
        )
        for number in range(in_flight):
            life.start(str(number))
        started = time.process_time()
        for number in range(events):
            life.end(str(number), result_of(settings.objective[0]))
            life.start(str(in_flight + number))
        return 1000 * (time.process_time() - started) / events


def result_of(objective: str) -> Mapping[str, Any]:
    """Return the result of a trial of one epoch."""
    row = {"epoch": 1, "time": 1000, objective: 0.5}
    return {
        **{objective: 0.5, "by_fold": [(objective, [0.5] * 5)], "history": [row]},
        **{"diverged": False, "epoch": 1, "num_params": 10, "train_time_s": 1.0},
    }


def looking(nodes: int) -> float:
    """Return the CPU time in ms of a check of all nodes, by the length of Ray's list of nodes."""
    from sweeps import machines as module
    from sweeps import probe
    from sweeps.settings import SweepSettings

    rows = [
        {
            **{"NodeID": f"{number:056x}", "Alive": True, "Resources": {"CPU": CPUS_OF_NODE}},
            **{"NodeManagerHostname": f"node{number}", "NodeManagerAddress": "10.0.0.1"},
        }
        for number in range(nodes)
    ]
    like_here = probe.facts(probe.RUNS_TRIALS, probe.TRAINABLE)
    with (
        patch.object(module, "_start_probe", lambda key: key),
        patch.object(module.ray, "nodes", lambda: rows),
        patch.object(module.ray, "wait", lambda asked, **options: (asked, [])),
        patch.object(module.ray, "get", lambda answer: like_here),
    ):
        machines = module.Machines(SweepSettings())
        machines.begin()
        started = time.process_time()
        machines.look()
        return 1000 * (time.process_time() - started)


def sweep(processes: int, settings: ScaleSettings) -> dict[str, float]:
    """Run a sweep of tiny trials with a number of processes; returns its CPU seconds by role."""
    from sweeps.processors import available_cpus

    options = {"space": SPACE, "name": NAME, "trials": settings.trials}
    options["cpus-per-trial"] = available_cpus() / processes
    what = f"the sweep of {processes} trials at a time"
    seen = swept(options, emptied(settings.folder / str(processes)), what, settings.limit_s)
    console.print(f"{processes} at a time: {seen.wall_s:.0f} s")
    return seen.cpu_by_role


def storing(checkpoints: int) -> dict[str, float]:
    """Return the requests to an S3 service per checkpoint of one megabyte, by operation."""
    import torch
    from moto.server import ThreadedMotoServer

    from trainables.checkpoints import delete_checkpoint, load_checkpoint, save_checkpoint

    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    os.environ |= {**keys, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    asked: list[str] = []
    with patch.object(WSGIRequestHandler, "log", lambda handler, *line: asked.append(line[0])):
        server = ThreadedMotoServer("127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        at = f"endpoint_override={host}:{port}&scheme=http&allow_bucket_creation=true"
        place, state = f"s3://sweeps/checkpoints?{at}", {"weights": torch.zeros(250_000)}
        save_checkpoint(place, 0, state)  # opens the connection
        found = {}
        for name, call in (
            ("save", partial(save_checkpoint, place, state=state)),
            ("load", partial(load_checkpoint, place)),
            ("delete", partial(delete_checkpoint, place)),
        ):
            asked.clear()
            for number in range(1, checkpoints + 1):
                call(trial_number=number)
            found[name] = len(asked) / checkpoints
        server.stop()
    return found


def in_flight_cells(rows: Sequence[Row]) -> Cells:
    """Make the table of driver CPU time, one row per number of trials in flight."""
    return Cells(
        title="CPU time of the driver by trials in flight, ms",
        head=(
            "trials in flight",
            "a wait of Tune's",
            "lifecycle, a trial",
            "a look at the nodes",
            "both, a trial",
            "shortest trials that keep all busy, s",
        ),
        rows=tuple(
            (
                f"{row.in_flight:,}",
                f"{row.wait_ms:.2f}",
                f"{row.lifecycle_ms:.2f}",
                f"{row.nodes_ms:.2f}",
                f"{row.trial_ms:.1f}",
                f"{row.shortest_s:.1f}",
            )
            for row in rows
        ),
    )


def store_cells(requests: Mapping[str, float]) -> Cells:
    """Make the table of requests per checkpoint."""
    return Cells(
        title="Requests to an S3 service for one checkpoint",
        head=tuple(requests),
        rows=(tuple(f"{number:.0f}" for number in requests.values()),),
    )


def process_cells(driven: Mapping[int, Mapping[str, float]], trials: int) -> Cells:
    """Make the table of CPU time per trial by role, including starts of processes."""
    roles = ("driver", "actors", "uploader", "ray")
    return Cells(
        title=f"CPU time per trial of sweeps of {trials:,} tiny trials, ms",
        head=("trials at a time", *roles),
        rows=tuple(
            (f"{number}", *(f"{1000 * cpu.get(role, 0) / trials:.1f}" for role in roles))
            for number, cpu in driven.items()
        ),
    )


if __name__ == "__main__":
    run_program(main)

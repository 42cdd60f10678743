"""Run of one sweep: started, killed and resumed until it is complete."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import TrialState

from tests.chaos.moments import Line, catch, draw_moment, wait_for
from tests.chaos.outcome import study_of
from tests.chaos.processes import end_all, find
from tests.chaos.space import MARKS
from tests.refusals import said_as

ROOT = Path(__file__).parents[2]
SPACE_FILE = Path(__file__).with_name("space.py")
SPACE = "killed"
ENDING = ("program", "driver", "raylet", "gcs")
"""Kinds of processes without which a sweep cannot continue."""
END_WITHIN_S = 150.0
"""Time limit in seconds for the program to end after a kill of a kind in `ENDING`."""
LIFE_WITHIN_S = 600.0
ATTEMPTS = 5
"""Number of failed resumptions without a kill at which a sweep counts as faulty."""
IN_USE = tuple(
    said_as(kind)
    for kind in ("launch.already-running", "ownership.sweep-in-use", "tracker.already-running")
)


@dataclass(kw_only=True)
class Kill:
    """One kill and its consequences."""

    sweep: int
    kind: str
    moment: str
    trials: list[int]
    """Trials in training at the kill; -1 stands for the sweep itself."""
    ended: bool = False
    seconds: float = 0.0
    """Seconds from the kill to the end of the program; 0 for kinds that do not end it."""
    code: int | None = None
    told: bool = False
    """Whether the program said how to resume."""
    traceback: bool = False


@dataclass(kw_only=True)
class Life:
    """One sweep from its first start to its end, with its kills and faults."""

    number: int
    name: str
    kills: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    starts: int = 0


class Sweeping:
    """Runner of sweeps in a folder.

    Args:
        folder: Working folder.
        args: Options of a new sweep, without its name and `--concurrency`.
        kinds: Kinds of processes to kill.
        say: Callback for one line about each kill.
    """

    def __init__(
        self,
        folder: Path,
        args: Sequence[str],
        kinds: Sequence[str],
        say: Callable[[str], None],
    ):
        self.folder = folder
        self.args = args
        self.kinds = kinds
        self.say = say
        self.marks = folder / "marks"
        self.marks.mkdir()
        self._logs = 0

    def place(self, name: str) -> Path:
        """Folder of the sweep's space."""
        return self.folder / "runs" / name / SPACE

    def undisturbed(self, name: str, *, concurrency: int) -> None:
        """Run a sweep without kills.

        Raises RuntimeError if it fails.
        """
        process, log = self._start(*self._new(name, concurrency))
        code = process.wait(LIFE_WITHIN_S)
        if code != 0:
            raise RuntimeError(f"the undisturbed sweep ended with exit code {code}: {log}")
        self._send(name)

    def disturbed(
        self,
        number: int,
        rng: random.Random,
        kills: int,
        lines: Sequence[Line],
        *,
        concurrency: int,
    ) -> Life:
        """Run a sweep to its end, with at most `kills` kills on the way."""
        life = Life(number=number, name=f"chaos-{number}")
        failed = 0
        while True:
            begun = (self.place(life.name).parent / "settings.json").exists()
            args = ("--resume", life.name) if begun else self._new(life.name, concurrency)
            killed_before = len(life.kills)
            process, log = self._start(*args)
            life.starts += 1
            self._disturb(life, process, rng, kills, lines)
            code = self._wait(life, process, LIFE_WITHIN_S)
            said = log.read_text(errors="replace")
            if len(life.kills) > killed_before:
                self._note_end(life, life.kills[-1], code, said)
            if code == 0:
                break
            if len(life.kills) == killed_before:
                failed += not any(pattern.search(said) for pattern in IN_USE)
                if failed >= ATTEMPTS:
                    last = (said.strip().splitlines() or ["nothing said"])[-1]
                    life.faults.append(f"{life.name} cannot be resumed, exit code {code}: {last}")
                    break
                time.sleep(1.0)
        if not life.faults:
            try:
                self._send(life.name)
            except RuntimeError as error:
                life.faults.append(str(error))
        end_all()
        return life

    def _new(self, name: str, concurrency: int) -> tuple[str, ...]:
        return (*self.args, "--concurrency", str(concurrency), "--name", name)

    def _disturb(
        self,
        life: Life,
        process: subprocess.Popen[bytes],
        rng: random.Random,
        kills: int,
        lines: Sequence[Line],
    ) -> None:
        """Kill processes of a running program until it ends or no kills are left."""

        def lives() -> bool:
            return process.poll() is None

        while len(life.kills) < kills and lives():
            kind = rng.choice(self.kinds)
            moment = draw_moment(kind, rng, lines)
            if not wait_for(moment, self.place(life.name), lives):
                return
            pid = catch(kind, process.pid, lives, self.marks)
            if pid is None:
                continue
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed_at = time.monotonic()
            kill = Kill(
                sweep=life.number,
                kind=kind,
                moment=moment.shown(),
                trials=self._in_training(life.name),
            )
            life.kills.append(kill)
            self.say(f"sweep {life.number}, kill {len(life.kills)}: {kind} at {kill.moment}")
            if kind in ENDING:
                self._wait(life, process, END_WITHIN_S)
                kill.seconds = time.monotonic() - killed_at
                return

    def _in_training(self, name: str) -> list[int]:
        running = [t.number for t in study_of(self.place(name)) if t.state == TrialState.RUNNING]
        return running or [-1]

    def _wait(self, life: Life, process: subprocess.Popen[bytes], within_s: float) -> int:
        """Wait for a program to end; if it does not, record a fault and kill it."""
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            after = life.kills[-1].kind if life.kills else "nothing"
            life.faults.append(f"{life.name} hung for {within_s:g} s after a kill of {after}")
            driver = find("driver", process.pid)
            for pid in {driver or process.pid, process.pid}:
                os.kill(pid, signal.SIGKILL)
            return process.wait()

    def _note_end(self, life: Life, kill: Kill, code: int, said: str) -> None:
        """Record what the user saw after the last kill, which may have ended the program."""
        kill.ended, kill.code = code != 0, code
        kill.told = f"--resume {life.name}" in said
        kill.traceback = "Traceback" in said
        if code == 0 and kill.kind not in ENDING:
            return
        self.say(
            f"  ended with {code} after {kill.seconds:.0f} s,"
            f" {'said' if kill.told else 'did not say'} how to resume"
        )

    def _start(self, *args: str) -> tuple[subprocess.Popen[bytes], Path]:
        self._logs += 1
        log = self.folder / "logs" / f"{self._logs:04d}.txt"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, ROOT / "sweeps" / "run.py", *args],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return process, log

    def _send(self, name: str) -> None:
        """Send pending records to MLflow, with the command that a sweep prints at its end.

        Raises RuntimeError if that fails.
        """
        done = subprocess.run(
            [sys.executable, ROOT / "sweeps" / "replay.py", name],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} cannot be sent: {done.stderr.strip()[-300:]}")

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        return kept | {"PYTHONPATH": str(ROOT), MARKS: str(self.marks)}

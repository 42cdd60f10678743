"""Launches a sweep from its settings: checks everything, then sweeps one space after another."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from foldsweep.errors import UserError
from foldsweep.files import disk_problem
from foldsweep.programs import INTERRUPTED, console
from foldsweep.texts import text
from foldsweep.tracking import shown
from search_spaces.space import SearchSpace
from sweeps.cell import Cell
from sweeps.channel import LOG_FILE, keep_dumps_in, tell
from sweeps.cluster import Cluster
from sweeps.commands import (
    Audience,
    resume_command,
    say_how_to_go_on,
    say_what_next,
    watch,
    what_is_lost,
)
from sweeps.database import DRIVER_FILE, Shared, owned
from sweeps.handover import Given
from sweeps.identity import Identity
from sweeps.local import Here
from sweeps.messages import constant, described, sampled_by, show_end
from sweeps.outages import Outages, ServiceLost
from sweeps.ownership import file_lock
from sweeps.pages import pages
from sweeps.prepare import Prepared, check_tracking, prepared
from sweeps.settings import SweepSettings, new_name
from sweeps.settings_file import SETTINGS_FILE, check_place, recorded_identity, save_settings
from sweeps.sweep import sweep_space
from sweeps.tracking.name_check import NameCheck
from sweeps.tracking.spool import SPOOL_FILE
from trainables.stack.precision import has_bfloat16
from trainables.tasks.samples import Data


def launch(
    settings: SweepSettings,
    stored: SweepSettings | None,
    cluster: Cluster | Here,
    given: Given | None = None,
    *,
    ui: bool = False,
    cell: Callable[[int], Cell] | None = None,
) -> int:
    """Run sweeps; returns the exit code.

    Args:
        settings: Validated settings.
        stored: Settings of the sweep to resume; None for a new one.
        cluster: Ray to run on, which may still be starting; or this process.
        given: Task and spaces made by a Python program; None for the command line.
        ui: Whether to serve MLflow's pages during the sweep.
        cell: Returns the console of a space by its number; None outside notebooks.

    Raises:
        UserError: If anything is wrong; nothing has been created or changed then.
        ServiceLost: If a service has been away for too long.
    """
    new = settings.name if stored is None else None
    check_tracking(settings, stored)
    with NameCheck(settings.tracking_uri or "", settings.experiment, new) as names:
        ready = prepared(settings, stored, given, here=isinstance(cluster, Here))
        gave_task = given is not None and given.task is not None
        audience = Audience(by_call=given is not None, gave_task=gave_task, cell=cell, ui=ui)
        return _launch(ready, stored, cluster, names, audience)


def _launch(
    ready: Prepared,
    stored: SweepSettings | None,
    cluster: Cluster | Here,
    names: NameCheck,
    audience: Audience,
) -> int:
    settings, spaces, data = ready.settings, ready.spaces, ready.data
    name = settings.resume or settings.name or new_name(settings.local_root)
    if stored is None and (settings.local_root / name / SETTINGS_FILE).exists():
        raise taken(name)  # MLflow's error would suggest another --name, not --resume
    names.refuse()
    cluster.refuse()
    identity = _identity(settings, stored, name)
    folder = _make_folder(settings.local_root / name, resumed=settings.resume is not None)
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout:
        raise UserError.of("launch.already-running", name=name) from None
    except OSError as error:
        raise UserError.of("launch.folder-unwritable", folder=folder, why=error.strerror) from None
    with lock, file_lock(settings.study, name):
        if stored is None and (folder / SETTINGS_FILE).exists():
            raise taken(name)
        outages = Outages(settings.outage_patience)
        owner = owned(settings, [space.name for space in spaces], name, folder, outages)
        try:
            with owner as shared, _forgotten_unless_begun(shared, folder, stored):
                save_settings(replace(settings, name=name, resume=None), folder, identity)
                if shared is not None:
                    shared.save(settings, spaces, identity)
                tell(sweep=name, resume=resume_command(settings, name, audience))
                keep_dumps_in(folder / LOG_FILE)
                cluster.keep_logs_in(folder / LOG_FILE)
                begins = text(
                    "launch.resumes" if settings.resume else "launch.starts",
                    name=name,
                    sweep=described(settings, ready.task, data),
                )
                console.print(begins)
                for line in (watch(settings, audience), *filter(None, ready.said)):
                    console.print(line)
                kept = Kept(folder=folder, shared=shared, outages=outages)
                shown = pages(settings, folder / spaces[0].name) if audience.ui else nullcontext()
                with shown:
                    return _sweep_all(
                        settings, spaces, data, name, kept, identity, cluster, audience
                    )
        except KeyboardInterrupt:
            if not (folder / SETTINGS_FILE).exists():
                raise
            say_how_to_go_on(settings, name, audience)
            return INTERRUPTED
        except ServiceLost as error:
            if not (folder / SETTINGS_FILE).exists():
                _undo(folder, stored)
                raise UserError(str(error)) from None
            raise ServiceLost(what_is_lost(settings, name, error, audience)) from error
        except UserError:
            _undo(folder, stored)
            raise
        except Exception as error:
            if stored is None:
                _undo(folder, None)
            problem = disk_problem(error)
            if problem is None:
                raise
            again = text("launch.start-again")
            if folder.is_dir():
                again = text("launch.resume", name=name)
            raise UserError.of(
                "launch.disk-full", why=problem, folder=folder, again=again
            ) from None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Places where a sweep is stored."""

    folder: Path
    """Folder on this machine."""
    shared: Shared | None
    """Database of the sweep; None if it has none."""
    outages: Outages


def _identity(settings: SweepSettings, stored: SweepSettings | None, name: str) -> Identity:
    """Identity of a new or resumed sweep; tells the user if a resumed sweep has moved."""
    folder = settings.local_root / name
    if stored is None:
        return Identity.new(folder)
    identity, recorded = check_place(folder), recorded_identity(folder)
    if recorded is not None and recorded.folder != identity.folder:
        uri = shown(settings.tracking_uri or "")
        console.print(text("launch.moved", name=name, folder=recorded.folder, uri=uri))
    return identity


def taken(name: str) -> UserError:
    """Error for a new sweep whose name another sweep has."""
    return UserError.of("launch.name-taken", name=name)


@contextmanager
def _forgotten_unless_begun(
    shared: Shared | None, folder: Path, stored: SweepSettings | None
) -> Iterator[None]:
    """Remove a new sweep from the database if it could not be started."""
    try:
        yield
    except Exception:
        if shared is not None and stored is None and not any(folder.glob(f"*/{SPOOL_FILE}")):
            shared.forget()
        raise


def _undo(folder: Path, stored: SweepSettings | None) -> None:
    """Undo the changes of a failed start or resume, so that it can be tried a second time."""
    if stored is not None:
        with suppress(UserError):  # a full disk is reported first
            save_settings(stored, folder)
    elif not any(folder.glob(f"*/{SPOOL_FILE}")):
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path, *, resumed: bool) -> Path:
    try:
        left_by_a_kill = ("lock", f"{SETTINGS_FILE}.part", DRIVER_FILE)
        if not resumed and any(path.name not in left_by_a_kill for path in folder.glob("*")):
            raise taken(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # checks that it can be written
            pass
    except OSError as error:
        raise UserError.of("launch.folder-unwritable", folder=folder, why=error.strerror) from None
    return folder


def _sweep_all(
    settings: SweepSettings,
    spaces: list[SearchSpace],
    data: Data,
    name: str,
    kept: Kept,
    identity: Identity,
    cluster: Cluster | Here,
    audience: Audience,
) -> int:
    """Sweep one space after another, with tables after each; returns the exit code."""
    ends = []
    if settings.select_on_test:
        console.print(text("launch.selected-on-test"))
    if len(settings.objective) > 1 and settings.scheduler != "none":
        console.print(text("launch.several-objectives"))
    with cluster as allotment:
        rounded = any(space.fixed.get("precision") == "bfloat16" for space in spaces)
        if rounded and allotment.device == "cpu" and not has_bfloat16():
            console.print(text("launch.slow-bfloat16"))
        for space in spaces:
            line = sampled_by(settings, space, allotment.concurrency)
            if line is not None:
                console.print(line)
        for number, space in enumerate(spaces):
            (kept.folder / space.name).mkdir(exist_ok=True)
            shown = console if audience.cell is None else audience.cell(number)
            end = sweep_space(
                settings,
                space,
                data,
                name=name,
                folder=kept.folder / space.name,
                checkpoint_root=settings.checkpoint_root(name),
                tracking_uri=settings.tracking_uri or "",
                allotment=allotment,
                console=shown,
                identity=identity,
                storage=None if kept.shared is None else kept.shared.storage,
                outages=kept.outages,
                machines=cluster.machines,
                here=isinstance(cluster, Here),
            )
            show_end(settings, end, name, audience, shown)
            if end.interrupted:
                say_how_to_go_on(settings, name, audience)
                return INTERRUPTED
            ends.append(end)
    said = constant(settings, ends)
    if said is not None:
        console.print(said)
    say_what_next(settings, name, ends, audience)
    return int(any(e.hopeless or not (e.complete or e.out_of_time) for e in ends))

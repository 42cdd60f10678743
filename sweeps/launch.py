"""From settings to sweeps: checks everything first, then sweeps one space after another."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout
from pyarrow.fs import FileSystem

from foldsweep.errors import UserError, first_line
from foldsweep.files import disk_problem
from foldsweep.programs import INTERRUPTED, console
from foldsweep.tracking import check_store, shown, sqlite_path
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps.channel import LOG_FILE, keep_dumps_in, tell
from sweeps.cluster import Cluster
from sweeps.identity import Identity
from sweeps.ledger import distributions_of, open_storage
from sweeps.messages import (
    described,
    resume_command,
    say_how_to_go_on,
    say_what_next,
    show_end,
    stopping,
)
from sweeps.preflight import check_folds, check_model, check_sent, load_data, split_data
from sweeps.settings import (
    SETTINGS_FILE,
    SweepSettings,
    check_place,
    check_resumable,
    new_name,
    recorded_identity,
)
from sweeps.sweep import JOURNAL_FILE, sweep_space
from sweeps.tracking.spool import SPOOL_FILE
from sweeps.tracking.taken import NameCheck
from trainables.config import BaseConfig, Precision
from trainables.stack.precision import has_bfloat16
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import Task


def launch(settings: SweepSettings, stored: SweepSettings | None, cluster: Cluster) -> int:
    """Run sweeps; returns the exit code.

    Args:
        settings: Validated settings.
        stored: Settings of the sweep to resume; None for a new one.
        cluster: The Ray to run on, which may be starting.

    Raises:
        UserError: If anything is wrong; nothing has been made or changed then.
    """
    new = settings.name if stored is None else None
    _check_tracking(settings, stored)
    with NameCheck(settings.tracking_uri or "", settings.experiment, new) as names:
        return _launch(settings, stored, cluster, names)


def _launch(
    settings: SweepSettings, stored: SweepSettings | None, cluster: Cluster, names: NameCheck
) -> int:
    task, spaces = _load(settings)
    settings = settings.for_task(task)
    if stored is not None:
        check_resumable(stored, settings)
    _check_stores(settings, spaces)
    data = load_data(spaces[0], settings)
    for space in spaces[1:]:
        own = space.variant.task.data
        if own is not task.data and load_data(space, settings).digest != data.digest:
            raise UserError(
                f"two tasks are called {task.name} and have different data: give each its own name"
            )
    if data.said:
        console.print(data.said)
    if settings.data is None and task.options is not None:
        settings = replace(settings, dataset=data.name)  # type: ignore[arg-type]
    fixed = task.split.fixed_folds(data.train)
    if fixed is not None:
        if settings.folds not in (fixed, SweepSettings.folds):
            raise UserError(
                f"--folds {settings.folds} contradicts --fold {settings.fold}, which has {fixed}"
                " folds: leave out --folds"
            )
        settings = replace(settings, folds=fixed)
    folds = split_data(spaces[0], data, settings)
    check_folds(task, data, folds)
    for space in spaces:
        check_model(space, data, folds, settings)
        check_sent(space)
    name = settings.resume or settings.name or new_name(settings.local_root)
    names.refuse()
    identity = _identity(settings, stored, name)
    folder = _make_folder(settings.local_root / name, resumed=settings.resume is not None)
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout:
        raise UserError(f"sweep {name} is being run by another process; wait for it") from None
    except OSError as error:
        raise UserError(f"folder {folder} cannot be written: {error.strerror}") from None
    with lock:
        if stored is None and (folder / SETTINGS_FILE).exists():
            raise _taken(name)
        replace(settings, name=name, resume=None).save(folder, identity)
        tell(resume=resume_command(settings, name))
        keep_dumps_in(folder / LOG_FILE)
        cluster.keep_logs_in(folder / LOG_FILE)
        verb = "resumes" if settings.resume else "starts"
        console.print(f"sweep {name} {verb}: {described(settings, task, data)}")
        for space in spaces:
            said = stopping(settings, space, stored)
            if said is not None:
                console.print(said)
        try:
            return _sweep_all(settings, spaces, data, name, folder, identity, cluster)
        except KeyboardInterrupt:
            say_how_to_go_on(settings, name)
            return INTERRUPTED
        except UserError:
            _undo(folder, stored)
            raise
        except Exception as error:
            if stored is None:
                _undo(folder, None)
            problem = disk_problem(error)
            if problem is None:
                raise
            again = f"continue with --resume {name}" if folder.is_dir() else "start again"
            raise UserError(f"{problem} in {folder}: free some space, then {again}") from None


def _load(settings: SweepSettings) -> tuple[Task, list[SearchSpace]]:
    """The one task of all spaces, and the spaces."""
    own = None
    if settings.data is not None:
        first, *more = settings.objective or (None,)
        own = table_task(
            settings.table_options,
            seed=settings.seed,
            objective=first,
            more=[name for name in more if name is not None],
        )
    spaces = [load_space(name, own) for name in settings.space]
    if settings.precision is not None:
        spaces = [_in_precision(settings.precision, space) for space in spaces]
    names = [space.name for space in spaces]
    if len(set(names)) < len(names):
        raise UserError(f"two spaces have the same name: {' '.join(names)}")
    tasks = {space.variant.task.name: space.name for space in spaces}
    if len(tasks) > 1:
        raise UserError(
            f"spaces {' and '.join(tasks.values())} are for the tasks {' and '.join(tasks)}:"
            " sweep them apart"
        )
    task = spaces[0].variant.task
    if own is not None and task.name != own.name:
        raise UserError(
            f"space {spaces[0].name} brings its own task, {task.name}: leave out --data"
        )
    return task, spaces


def _in_precision(precision: Precision, space: SearchSpace) -> SearchSpace:
    try:
        make: Callable[..., BaseConfig] = space.variant.config
        with suppress(TypeError):  # a user's configuration may have fields without a default
            make(precision=precision)
        return space.with_fixed(precision=precision)
    except UserError as error:
        raise UserError(
            f"--precision {precision} is not possible in space {space.name}: {error}"
        ) from None


def _check_stores(settings: SweepSettings, spaces: list[SearchSpace]) -> None:
    """Find out what is wrong with the places of a sweep before anything is made or started."""
    if "://" in settings.storage:
        _check_remote(settings.storage)
    for space in spaces:
        distributions_of(space, settings)
    if settings.study is not None:
        open_storage(settings.study, Path(JOURNAL_FILE))


def _check_remote(uri: str) -> None:
    try:
        path = FileSystem.from_uri(uri)[1]
    except (OSError, ValueError) as error:  # unreachable, and of a kind or form that is none
        reason = first_line(error)
    else:
        if path:
            return
        reason = "it names no bucket or folder"
    raise UserError(
        f"--storage {uri} cannot be used: {reason}; give a folder, or a URI such as"
        " s3://bucket/path"
    )


def _check_tracking(settings: SweepSettings, stored: SweepSettings | None) -> None:
    """Find out what is wrong with the place of MLflow's runs before anything is made or started.

    Raises:
        UserError: If it can take no record, or a resumed sweep's is gone.
    """
    uri = settings.tracking_uri or ""
    check_store(uri)
    store = sqlite_path(uri)
    if stored is not None and uri == stored.tracking_uri and store is not None:
        if not store.parent.is_dir():
            raise UserError(
                f"sweep {settings.resume} has its runs in {store}, whose folder is gone: give"
                " --tracking-uri"
            )


def _identity(settings: SweepSettings, stored: SweepSettings | None, name: str) -> Identity:
    """What a new sweep will be known by, or a resumed one is; says if that has moved."""
    folder = settings.local_root / name
    if stored is None:
        return Identity.new(folder)
    identity, recorded = check_place(folder), recorded_identity(folder)
    if recorded is not None and recorded.folder != identity.folder:
        console.print(
            f"sweep {name} has moved here from {recorded.folder}; its runs go to MLflow at"
            f" {shown(settings.tracking_uri or '')}"
        )
    return identity


def _taken(name: str) -> UserError:
    return UserError(f"sweep {name} exists already; use --resume {name} or another --name")


def _undo(folder: Path, stored: SweepSettings | None) -> None:
    """Leave a sweep that could not be started or resumed as it was, so that it can be."""
    if stored is not None:
        with suppress(UserError):  # a full disk has the first word
            stored.save(folder)
    elif not any(folder.glob(f"*/{SPOOL_FILE}")):
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path, *, resumed: bool) -> Path:
    try:
        left_by_a_kill = ("lock", f"{SETTINGS_FILE}.part")
        if not resumed and any(path.name not in left_by_a_kill for path in folder.glob("*")):
            raise _taken(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # that it can be written
            pass
    except OSError as error:
        raise UserError(f"folder {folder} cannot be written: {error.strerror}") from None
    return folder


def _sweep_all(
    settings: SweepSettings,
    spaces: list[SearchSpace],
    data: Data,
    name: str,
    folder: Path,
    identity: Identity,
    cluster: Cluster,
) -> int:
    """Sweep one space after another; tables follow each."""
    ends = []
    if settings.select_on_test:
        console.print("trials are selected on the test rows: their scores are optimistic")
    if len(settings.objective) > 1 and settings.scheduler != "none":
        console.print("several objectives: no trial is stopped early")
    with cluster as allotment:
        rounded = any(space.fixed.get("precision") == "bfloat16" for space in spaces)
        if rounded and allotment.device == "cpu" and not has_bfloat16():
            console.print(
                "this processor has no instructions for bfloat16: float32 would be faster"
            )
        remote = "://" in settings.storage
        root = f"{settings.storage.rstrip('/')}/{name}" if remote else str(folder.resolve())
        for space in spaces:
            (folder / space.name).mkdir(exist_ok=True)
            end = sweep_space(
                settings,
                space,
                data,
                name=name,
                folder=folder / space.name,
                checkpoint_root=root,
                tracking_uri=settings.tracking_uri or "",
                allotment=allotment,
                console=console,
                identity=identity,
                machines=cluster.machines,
            )
            show_end(settings, end, name)
            if end.interrupted:
                say_how_to_go_on(settings, name)
                return INTERRUPTED
            ends.append(end)
    say_what_next(settings, name, ends)
    return int(any(e.hopeless or not (e.complete or e.out_of_time) for e in ends))

"""From settings to sweeps: checks everything first, then sweeps one space after another."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, RDBStorage

from foldsweep.errors import UserError
from foldsweep.files import disk_problem
from foldsweep.programs import INTERRUPTED, console
from foldsweep.tracking import check_store, shown, sqlite_path
from search_spaces.space import SearchSpace
from sweeps.cell import Cell
from sweeps.channel import LOG_FILE, keep_dumps_in, tell
from sweeps.cluster import Cluster
from sweeps.gate import within
from sweeps.given import Given
from sweeps.here import Here
from sweeps.home import Home, name_taken
from sweeps.identity import Identity
from sweeps.ledger import distributions_of
from sweeps.messages import (
    Audience,
    described,
    drawn_at_random,
    resume_command,
    say_how_to_go_on,
    say_what_next,
    show_end,
    stopping,
    watch,
    what_is_lost,
)
from sweeps.outages import Outages, ServiceLost
from sweeps.ownership import file_lock
from sweeps.pages import pages
from sweeps.preflight import check_folds, check_model, check_sent, load_data, split_data
from sweeps.rounds import on_test
from sweeps.settings import SweepSettings, check_resumable, new_name
from sweeps.settings_file import SETTINGS_FILE, check_place, recorded_identity, save_settings
from sweeps.shared import DRIVER_FILE, Shared, owned
from sweeps.study import open_storage
from sweeps.sweep import JOURNAL_FILE, most_epochs, study_storage, sweep_space
from sweeps.tracking.spool import SPOOL_FILE, check_files
from sweeps.tracking.taken import NameCheck
from trainables.config import BaseConfig, Precision
from trainables.data.folds import Fold
from trainables.stack.precision import has_bfloat16
from trainables.stores import STORE_ERRORS, located, replace_file, store_says
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import Task


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
        cluster: The Ray to run on, which may be starting; or this process.
        given: Task and spaces that a program has made; None where none has called.
        ui: Whether MLflow's pages are served beside it.
        cell: Gives the console for a space, by its number, where that program is a notebook.

    Raises:
        UserError: If anything is wrong; nothing has been made or changed then.
        ServiceLost: If a service has been away for too long.
    """
    new = settings.name if stored is None else None
    check_tracking(settings, stored)
    with NameCheck(settings.tracking_uri or "", settings.experiment, new) as names:
        ready = prepared(settings, stored, given, here=isinstance(cluster, Here))
        audience = Audience(by_call=given is not None, cell=cell, ui=ui)
        return _launch(ready, stored, cluster, names, audience)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that may begin."""

    settings: SweepSettings
    """With all that the data decides."""
    task: Task
    spaces: list[SearchSpace]
    data: Data
    scored: Data
    """Whose rows the folds name: those, with `select_on_test` also the test rows."""
    folds: tuple[Fold, ...]
    said: list[str | None]
    """What to say when it begins."""


def prepared(
    settings: SweepSettings,
    stored: SweepSettings | None,
    given: Given | None = None,
    *,
    dry: bool = False,
    here: bool = False,
) -> Prepared:
    """Load and check all that a sweep needs, in this process.

    Args:
        settings: Validated settings.
        stored: Settings of the sweep to resume; None for a new one.
        given: Task and spaces that a program has made.
        dry: Whether the places of the sweep are left alone, which else are looked into.
        here: Whether trials train in this process, so that nothing is sent to another.

    Raises:
        UserError: If anything is wrong.
    """
    task, spaces = _load(settings, given)
    settings = settings.for_task(task)
    if stored is not None:
        check_resumable(stored, settings)
    for space in spaces:
        distributions_of(space, settings)
    if not dry:
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
    scored = on_test(data, settings.folds)[0] if settings.select_on_test else data
    check_folds(task, scored, folds)
    spaces, said = _within(spaces, settings, data)
    for space in spaces:
        check_model(space, scored, folds, settings)
        if not here:
            check_sent(space)
        said += [stopping(settings, space, stored), drawn_at_random(settings, space)]
    return Prepared(
        settings=settings,
        task=task,
        spaces=spaces,
        data=data,
        scored=scored,
        folds=folds,
        said=said,
    )


def _launch(
    ready: Prepared,
    stored: SweepSettings | None,
    cluster: Cluster | Here,
    names: NameCheck,
    audience: Audience,
) -> int:
    settings, spaces, data = ready.settings, ready.spaces, ready.data
    name = settings.resume or settings.name or new_name(settings.local_root)
    names.refuse()
    cluster.refuse()
    identity = _identity(settings, stored, name)
    folder = _make_folder(settings.local_root / name, resumed=settings.resume is not None)
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout:
        raise UserError(f"sweep {name} is being run by another process; wait for it") from None
    except OSError as error:
        raise UserError(f"folder {folder} cannot be written: {error.strerror}") from None
    with lock, file_lock(settings.study, name):
        if stored is None and (folder / SETTINGS_FILE).exists():
            raise taken(name)
        outages = Outages(settings.patience)
        owner = owned(settings, [space.name for space in spaces], name, folder, outages)
        try:
            with owner as shared, _forgotten_unless_begun(shared, folder, stored):
                save_settings(replace(settings, name=name, resume=None), folder, identity)
                if shared is not None:
                    shared.save(settings, spaces, identity)
                tell(sweep=name, resume=resume_command(settings, name, audience))
                keep_dumps_in(folder / LOG_FILE)
                cluster.keep_logs_in(folder / LOG_FILE)
                verb = "resumes" if settings.resume else "starts"
                console.print(f"sweep {name} {verb}: {described(settings, ready.task, data)}")
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
            again = f"continue with --resume {name}" if folder.is_dir() else "start again"
            raise UserError(f"{problem} in {folder}: free some space, then {again}") from None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Where a sweep is kept."""

    folder: Path
    """On this machine."""
    shared: Shared | None
    """In a database, if it is there."""
    outages: Outages


def _load(settings: SweepSettings, given: Given | None = None) -> tuple[Task, list[SearchSpace]]:
    """The one task of all spaces, and the spaces."""
    given = given or Given()
    own = given.task
    if settings.data is not None:
        first, *more = settings.objective or (None,)
        own = table_task(
            settings.table_options,
            seed=settings.seed,
            objective=first,
            more=[name for name in more if name is not None],
        )
    spaces = [given.load(name, own) for name in settings.space]
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


def _within(
    spaces: list[SearchSpace], settings: SweepSettings, data: Data
) -> tuple[list[SearchSpace], list[str | None]]:
    """The spaces without initial points that may not be trained, and what to say of that."""
    said: list[str | None] = []
    kept = []
    for space in spaces:
        grid = settings.sampler == "grid"
        epochs = most_epochs(space, settings)
        smaller, lines = within(space, settings.limits, data, grid=grid, epochs=epochs)
        kept.append(smaller)
        said += lines
    return kept, said


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
    storage = None
    if settings.study is not None:
        storage = open_storage(settings.study, Path(JOURNAL_FILE))
    try:
        _check_studies(settings, spaces, storage)
    finally:
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()


def _check_studies(
    settings: SweepSettings, spaces: list[SearchSpace], storage: BaseStorage | None
) -> None:
    new = settings.name if settings.resume is None else None
    if storage is not None and new is not None and Home(storage, new).record() is not None:
        raise name_taken(new)  # MLflow would have another --name, and not say --resume
    if settings.resume is not None:
        for space in spaces:
            folder = settings.local_root / settings.resume / space.name
            check_files(folder, JOURNAL_FILE)
            if len(spaces) > 1 and (folder / SPOOL_FILE).exists():
                # else found when the spaces before it have been swept
                study_storage(settings, f"{settings.resume}/{space.name}", folder, storage)


def _check_remote(uri: str) -> None:
    """Write and delete a small file, as checkpoints will be."""
    try:
        filesystem, path = located(uri)
        if path:
            probe = f"{path}/.foldsweep-{uuid4().hex}"
            replace_file(filesystem, probe, b"foldsweep looks whether it may write here")
            filesystem.delete_file(probe)
            return
        reason = "it names no bucket or folder"
    # unreachable, forbidden, and of a kind or form that is none
    except STORE_ERRORS as error:
        reason = store_says(error)
    raise UserError(
        f"--storage {shown(uri)} cannot be used: {reason}; give a folder, or a URI such as"
        " s3://bucket/path or s3://bucket/path?endpoint_override=http://HOST:PORT, and the key in"
        " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def check_tracking(settings: SweepSettings, stored: SweepSettings | None) -> None:
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


def taken(name: str) -> UserError:
    """The error of a new sweep whose name another one has."""
    return UserError(f"sweep {name} exists already; use --resume {name} or another --name")


@contextmanager
def _forgotten_unless_begun(
    shared: Shared | None, folder: Path, stored: SweepSettings | None
) -> Iterator[None]:
    """Leave the database without a new sweep that could not be started."""
    try:
        yield
    except Exception:
        if shared is not None and stored is None and not any(folder.glob(f"*/{SPOOL_FILE}")):
            shared.forget()
        raise


def _undo(folder: Path, stored: SweepSettings | None) -> None:
    """Leave a sweep that could not be started or resumed as it was, so that it can be."""
    if stored is not None:
        with suppress(UserError):  # a full disk has the first word
            save_settings(stored, folder)
    elif not any(folder.glob(f"*/{SPOOL_FILE}")):
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path, *, resumed: bool) -> Path:
    try:
        left_by_a_kill = ("lock", f"{SETTINGS_FILE}.part", DRIVER_FILE)
        if not resumed and any(path.name not in left_by_a_kill for path in folder.glob("*")):
            raise taken(folder.name)
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
    kept: Kept,
    identity: Identity,
    cluster: Cluster | Here,
    audience: Audience,
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
    say_what_next(settings, name, ends, audience)
    return int(any(e.hopeless or not (e.complete or e.out_of_time) for e in ends))

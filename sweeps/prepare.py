"""Checks before a sweep starts: its spaces, data, storage, study and networks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from optuna.storages import BaseStorage, RDBStorage

from foldsweep.errors import UserError
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import check_store, shown, sqlite_path
from search_spaces.space import SearchSpace
from sweeps.distributions import distributions_of
from sweeps.fingerprints import identity_of
from sweeps.gate import within
from sweeps.handover import Given
from sweeps.home import Home, name_taken
from sweeps.jobs import lags_of, rungs_of
from sweeps.messages import drawn_at_random, stopping
from sweeps.preflight import check_folds, check_model, check_sent, load_data, split_data
from sweeps.rounds import on_test
from sweeps.settings import SweepSettings, check_resumable
from sweeps.sources import Origin, check_used, sources_of
from sweeps.study import JOURNAL_FILE, open_storage
from sweeps.sweep import most_epochs, study_storage
from sweeps.tracking.spool import SPOOL_FILE, check_files
from trainables.config import BaseConfig, Precision
from trainables.data.folds import Fold
from trainables.stores import STORE_ERRORS, located, replace_file, store_says
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A checked sweep, ready to start."""

    settings: SweepSettings
    """Settings, completed with the values that depend on the data."""
    task: Task
    spaces: list[SearchSpace]
    data: Data
    scored: Data
    """Data whose rows the folds index: `data`, with `select_on_test` also its test rows."""
    folds: tuple[Fold, ...]
    said: list[str | None]
    """Messages at the start of the sweep; None for no message."""


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
        given: Task and spaces that a Python program has made.
        dry: Whether to skip the checks of the sweep's storage and study, for a dry run.
        here: Whether trials train in this process, so that nothing is sent to workers.

    Raises:
        UserError: If a check fails.
    """
    task, spaces = load(settings, given)
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
            raise UserError.of("prepare.task-name-taken", task=task.name)
    if data.said:
        console.print(data.said)
    if settings.data is None and task.options is not None:
        settings = replace(settings, dataset=data.name)  # type: ignore[arg-type]
    fixed = task.split.fixed_folds(data.train)
    if fixed is not None:
        if settings.folds not in (fixed, SweepSettings.folds):
            raise UserError.of(
                "prepare.folds-contradict-fold",
                folds=settings.folds,
                column=settings.fold,
                fixed=fixed,
            )
        settings = replace(settings, folds=fixed)
    folds = split_data(spaces[0], data, settings)
    scored = on_test(data, settings.folds)[0] if settings.select_on_test else data
    check_folds(task, scored, folds)
    spaces, said = _within(spaces, settings, data)
    for space in spaces:
        rungs = rungs_of(settings, most_epochs(space, settings), space.most_rungs)
        lags_of(settings, len(rungs))
        check_model(space, scored, folds, settings)
        if not here:
            check_sent(space)
        said += [stopping(settings, space, stored), drawn_at_random(settings, space)]
    if stored is None:
        said += _warm_start(settings, spaces, identity_of(task, data, folds))
    return Prepared(
        settings=settings,
        task=task,
        spaces=spaces,
        data=data,
        scored=scored,
        folds=folds,
        said=said,
    )


def _warm_start(
    settings: SweepSettings, spaces: list[SearchSpace], identity: Mapping[str, str]
) -> Iterator[str]:
    """Messages: how many trials of earlier sweeps each space's sampler sees.

    Raises:
        UserError: If an earlier sweep does not exist, or fits no space.
    """
    found = {}
    for space in spaces:
        origin = Origin.of(space, settings, most_epochs(space, settings), identity)
        found[space.name] = sources_of(settings, space, distributions_of(space, settings), origin)
    check_used(settings, [source for sources in found.values() for source in sources])
    for name, sources in found.items():
        for source in sources:
            if source.trials:
                yield text("prepare.warm-start", space=name, source=source.described())


def check_tracking(settings: SweepSettings, stored: SweepSettings | None) -> None:
    """Check MLflow's server or store before anything is created or started.

    Raises:
        UserError: If it cannot accept records, or the store of a resumed sweep is gone.
    """
    uri = settings.tracking_uri or ""
    check_store(uri)
    store = sqlite_path(uri)
    if stored is not None and uri == stored.tracking_uri and store is not None:
        if not store.parent.is_dir():
            raise UserError.of("prepare.store-gone", sweep=settings.resume, store=store)


def load(settings: SweepSettings, given: Given | None = None) -> tuple[Task, list[SearchSpace]]:
    """Load the spaces, and return their common task and the spaces.

    Raises:
        UserError: If spaces have different tasks or the same name, or a space or the data does
            not exist.
    """
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
    for space in spaces:
        if settings.data is not None and space.variant.task is not own:
            raise UserError.of(
                "prepare.space-has-task", space=space.name, task=space.variant.task.name
            )
    if settings.precision is not None:
        spaces = [_in_precision(settings.precision, space) for space in spaces]
    names = [space.name for space in spaces]
    if len(set(names)) < len(names):
        raise UserError.of("prepare.same-space-names", names=" ".join(names))
    tasks = {space.variant.task.name: space.name for space in spaces}
    if len(tasks) > 1:
        raise UserError.of(
            "prepare.several-tasks", spaces=" and ".join(tasks.values()), tasks=" and ".join(tasks)
        )
    task = spaces[0].variant.task
    if own is not None and task.name != own.name:
        raise UserError.of("prepare.space-has-task", space=spaces[0].name, task=task.name)
    return task, spaces


def _in_precision(precision: Precision, space: SearchSpace) -> SearchSpace:
    try:
        make: Callable[..., BaseConfig] = space.variant.config
        with suppress(TypeError):  # a user's configuration may have fields without a default
            make(precision=precision)
        return space.with_fixed(precision=precision)
    except UserError as error:
        raise UserError.of(
            "prepare.precision-refused", precision=precision, space=space.name, error=error
        ) from None


def _within(
    spaces: list[SearchSpace], settings: SweepSettings, data: Data
) -> tuple[list[SearchSpace], list[str | None]]:
    """Return the spaces without points that may not be trained, and messages about these."""
    said: list[str | None] = []
    kept = []
    for space in spaces:
        grid = settings.sampler == "grid"
        epochs = most_epochs(space, settings)
        smaller, lines = within(space, settings.limits, data, grid=grid, epochs=epochs)
        kept.append(smaller)
        said += lines
    return kept, said


def _check_stores(settings: SweepSettings, spaces: list[SearchSpace]) -> None:
    """Check the storage and the study of a sweep before anything is created or started."""
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
        raise name_taken(new)  # MLflow's error would suggest another --name, not --resume
    if settings.resume is not None:
        for space in spaces:
            folder = settings.local_root / settings.resume / space.name
            check_files(folder, JOURNAL_FILE)
            if len(spaces) > 1 and (folder / SPOOL_FILE).exists():
                # a fault would else show only after the spaces before are swept
                study_storage(settings, f"{settings.resume}/{space.name}", folder, storage)


def _check_remote(uri: str) -> None:
    """Check that remote storage is writable: write and delete a small file, as for checkpoints."""
    try:
        filesystem, path = located(uri)
        if path:
            probe = f"{path}/.foldsweep-{uuid4().hex}"
            replace_file(filesystem, probe, b"foldsweep looks whether it may write here")
            filesystem.delete_file(probe)
            return
        reason = "it names no bucket or folder"
    # an unreachable, forbidden, unknown or malformed URI
    except STORE_ERRORS as error:
        reason = store_says(error)
    raise UserError.of("prepare.storage-unusable", uri=shown(uri), reason=reason)

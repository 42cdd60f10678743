"""The sweep of one space: connects data, study, spool and Ray."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from rich.console import Console

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.files import joined
from foldsweep.numbers import plural, shown_score
from foldsweep.texts import text
from search_spaces.space import SearchSpace
from sweeps.budget import num_asked
from sweeps.constant import constant_score
from sweeps.distributions import distributions_json, distributions_of
from sweeps.expectation import log_expected
from sweeps.fingerprints import identity_of
from sweeps.fitting import fit
from sweeps.gate import Gate
from sweeps.identity import Identity
from sweeps.ledger import Ledger
from sweeps.lifecycle import REFUSED_TO_GIVE_UP, Lifecycle
from sweeps.local import fit_here
from sweeps.machines import Machines
from sweeps.mirror import Mirror, records_of
from sweeps.outages import TRACKING, UNSHARED, Outages
from sweeps.outcomes import failures
from sweeps.passwords import masked_url, without_password
from sweeps.pruning import reports, rung_epochs
from sweeps.records import (
    MLFLOW_RUN_NOTE,
    dataset_record,
    reported_figures,
    reported_row,
    run_tags,
    write_task,
)
from sweeps.resources import Allotment
from sweeps.retries import PatientStorage
from sweeps.rounds import on_test
from sweeps.settings import SweepSettings
from sweeps.study import JOURNAL_FILE, has_study, open_storage
from sweeps.summary import shown_values
from sweeps.tracking.spool import SPOOL_FILE, TrackingTarget, identity_in
from sweeps.tracking.tracker import Tracker
from trainables.data.folds import Fold, overlap
from trainables.seeds import Stream, derive_seed
from trainables.tasks.samples import Data
from trainables.tasks.task import Task
from trainables.trial import Context

REPORT_EVERY_S = 5.0
"""Seconds after which a trial reports at the end of an epoch, besides its reports at rungs."""
CLOSE_WAIT_S = 10.0
"""Seconds that the end of a sweep waits for a tracking server that accepts nothing."""


@dataclass(frozen=True, kw_only=True)
class SweepEnd:
    """Result of the sweep of one space, with the reason for its end."""

    ledger: Ledger
    interrupted: bool
    out_of_time: bool
    hopeless: bool
    """Whether the sweep was given up because too many trials failed."""
    last_error: str | None
    waiting_records: int
    tracking_problem: str
    set_aside: int = 0
    """Number of invalid lines of the spool, see `sweeps.tracking.spool`."""
    refused: str = ""
    """Items that MLflow has refused, in one line; empty if none."""
    expected: str = ""
    """Expected score of the best trial on fresh data, in one line; empty if it is not known."""
    expected_score: float | None = None
    """This score; None if it is not known."""
    constant: float | None = None
    """Score of a constant prediction on the same folds; None if it has none."""

    @property
    def hopeless_because(self) -> str:
        """Why a sweep was given up, in words."""
        last = self.ledger.ended()[-REFUSED_TO_GIVE_UP:]
        if len(failures(last, names.REFUSED)) == REFUSED_TO_GIVE_UP:
            return text("sweep.none-trainable", last=REFUSED_TO_GIVE_UP)
        return text("sweep.most-failed")

    @property
    def complete(self) -> bool:
        """Whether any trial is complete."""
        return any(t.state == TrialState.COMPLETE for t in self.ledger.ended())


def make_folds(task: Task, data: Data, settings: SweepSettings) -> tuple[Fold, ...]:
    """Folds of all spaces of a sweep; with `select_on_test` those of `sweeps.rounds.on_test`."""
    if settings.select_on_test:
        return on_test(data, settings.folds)[1]
    return task.split.folds(
        data.train, target=task.target, num_folds=settings.folds, seed=settings.seed
    )


def most_epochs(space: SearchSpace, settings: SweepSettings) -> int:
    """Epochs, or units of an estimator's resource, of a space's longest trials.

    It is 1 for estimators without a resource, which are fitted once.
    """
    most = space.most_epochs()
    if space.resource is None:
        return most
    varied: Any = distributions_of(space, settings).get(space.resource)
    if varied is not None:
        choices = isinstance(varied, CategoricalDistribution)
        most = int(max(varied.choices) if choices else varied.high)
    if settings.epochs is None or space.resource != "epochs":
        return most
    return settings.epochs if varied is None else min(settings.epochs, most)


def study_storage(
    settings: SweepSettings, key: str, folder: Path, storage: BaseStorage | None = None
) -> tuple[BaseStorage, bool]:
    """The storage of a space's study, and whether the study exists.

    Args:
        settings: Settings of the sweep.
        key: Name of the study, `NAME/SPACE`.
        folder: Local folder of this space's study and spool.
        storage: The study's database, if it is open; else None.

    Raises:
        UserError: If the storage cannot be used, the study is damaged, or it is missing although
            the spool has records of it.
    """
    journal, was_begun = folder / JOURNAL_FILE, (folder / SPOOL_FILE).exists()
    if storage is None and (settings.study is not None or journal.exists() or not was_begun):
        storage = open_storage(settings.study, journal)
    is_known = storage is not None and has_study(storage, key)
    if storage is None or (was_begun and not is_known):
        name = key.partition("/")[0]
        raise UserError.of("sweep.study-missing", sweep=name, folder=folder.parent)
    return storage, is_known


def sweep_space(
    settings: SweepSettings,
    space: SearchSpace,
    data: Data,
    *,
    name: str,
    folder: Path,
    checkpoint_root: str,
    tracking_uri: str,
    allotment: Allotment,
    console: Console,
    identity: Identity | None = None,
    storage: BaseStorage | None = None,
    outages: Outages | None = None,
    machines: Machines | None = None,
    here: bool = False,
) -> SweepEnd:
    """Run or resume the sweep of one space, on a running Ray or in this process.

    Args:
        settings: Settings of the sweep.
        space: The search space.
        data: The task's data; only the training rows are used, unless with `select_on_test`.
        name: Name of the sweep.
        folder: Local folder of this space's study and spool.
        checkpoint_root: Folder or URI for checkpoints, which all nodes can reach.
        tracking_uri: MLflow server or store, absolute.
        allotment: Resources of a trial.
        console: Console for progress.
        identity: Identity of the sweep [as recorded in `folder`, or a new one].
        storage: Open storage of the study [opened as the settings say].
        outages: Waits for unreachable services [with the patience of the settings].
        machines: Nodes of the Ray [one node, with room for the allotment].
        here: Whether trials train in this process, without Ray.

    Raises:
        UserError: If the study or the folder cannot be used.
    """
    key = f"{name}/{space.name}"
    epochs = most_epochs(space, settings)
    identity = identity or identity_in(folder)
    target = TrackingTarget(
        tracking_uri=tracking_uri,
        experiment=settings.experiment,
        sweep=key,
        uuid=identity.uuid,
        project=identity.project,
        study_storage=without_password(settings.study) if settings.study else JOURNAL_FILE,
        study_name=key,
        objective=settings.objective[0],
        better=space.variant.task.better[settings.objective[0]],
    )
    task = space.variant.task
    folds = make_folds(task, data, settings)
    scored = on_test(data, settings.folds)[0] if settings.select_on_test else data
    outages = outages or Outages(settings.outage_patience)
    mirror = None
    if storage is not None and "://" in checkpoint_root:
        owner = storage.owner if isinstance(storage, PatientStorage) else UNSHARED
        mirror = Mirror(folder, records_of(checkpoint_root, space.name), outages, owner)
    storage, is_known = study_storage(settings, key, folder, storage)
    gate = Gate(space, settings.limits, data, epochs=epochs)
    ledger = Ledger(
        storage,
        key,
        space,
        settings,
        epochs=epochs,
        identity=identity_of(task, data, folds),
        gate=None if gate.is_open else gate,
    )
    try:
        tracker = Tracker(folder, target, mirror=mirror)
    except Exception:
        if not is_known:  # nothing was recorded: free the name
            optuna.delete_study(study_name=key, storage=storage)
        raise
    try:
        tags = run_tags(settings, space, data, key, allotment)
        tags[names.TAG_OVERLAP] = repr(overlap(folds))
        params = {**settings.to_dict(), "space": space.name, "name": name, "epochs": epochs}
        params["study"] = masked_url(settings.study) if settings.study else JOURNAL_FILE
        params["tracking_uri"] = target.shown_uri
        rungs = rung_epochs(epochs, space.most_rungs)
        in_steps = len(reports(settings.scheduler, epochs, rungs)) > 1
        params["scheduler"] = ledger.scheduler if in_steps else "none"
        own = {
            names.TAG_KIND: "sweep",
            names.TAG_DISTRIBUTIONS: distributions_json(ledger.distributions),
            # as tags, since a resumed sweep may change them: MLflow refuses changed params
            names.TAG_TRIALS: str(num_asked(space, settings)),
            names.TAG_RESOURCE: f"{epochs} {space.resource}" if space.resource else "",
            names.TAG_SCHEDULER: params["scheduler"],
            names.TAG_WARM_START: "; ".join(source.described() for source in ledger.sources),
            names.TAG_LAGS: " ".join(map(str, ledger.lags)) if settings.by_trial else "",
        }
        conditional = [key for key in ledger.distributions if key in space.tree.conditions]
        if conditional:
            own[names.TAG_CONDITIONAL] = " ".join(conditional)
        preset = reported_row(space)
        if preset is not None:
            own[names.TAG_PRESET] = preset.name
        tracker.start_sweep(key, _shown(params), {**tags, **own}, dataset_record(data))
        tracker.log_artifact(None, write_task(folder, task, data))
        if preset is not None:
            tracker.log_metrics(None, reported_figures(preset))
        first = settings.objective[0]
        constant = constant_score(task, scored, folds, names.bare(first))
        if constant is not None:
            tracker.log_metrics(None, {names.constant_key(first): constant})
        report_at: tuple[int, ...] = (epochs,)
        if ledger.prunes:
            report_at = reports(settings.scheduler, epochs, rungs)
        lifecycle = Lifecycle(
            ledger,
            tracker,
            space=space,
            objective=settings.objective,
            epochs=epochs,
            report_at=report_at,
            tags=tags,
            dataset=dataset_record(data),
            checkpoint_folder=joined(checkpoint_root, space.name, "checkpoints"),
            error_folder=folder / "errors",
            held_out_folder=folder / names.HELD_OUT,
            time_budget=settings.time_budget,
            max_failures=settings.max_failures,
            outages=outages,
        )
        outages.watch(TRACKING, lambda: tracker.problem)
        context = Context(
            data=scored,
            folds=folds,
            seed=settings.seed,
            # a report costs more than a short epoch; without early stopping, only time decides
            report_at=(epochs,) if settings.scheduler == "none" else report_at,
            report_every_s=REPORT_EVERY_S,
            checkpoint_folder=lifecycle.checkpoint_folder,
            checkpoint_every_s=settings.checkpoint_every_s,
            save_at=tuple(rung.epochs for rung in ledger.rungs),
            patience_s=settings.outage_patience,
            threads=allotment.threads,
            device=allotment.device,
            mode=settings.mode,
            keep=None if settings.select_on_test else settings.objective[0],
        )
        expected: tuple[str, float | None] = ("", None)
        train = fit_here if here else fit
        interrupted = train(
            lifecycle,
            context,
            settings,
            allotment=allotment,
            machines=machines or Machines.fixed(allotment),
            folder=folder,
            console=console,
        )
        _log_best(tracker, lifecycle)
        lifecycle.saved.delete_left_over()
        if lifecycle.saved.left_over:
            console.print(
                f"{plural(len(lifecycle.saved.left_over), 'checkpoint')} of ended trials could not"
                f" be deleted from {lifecycle.checkpoint_folder}"
            )
        if context.keep is not None:
            expected = log_expected(
                ledger,
                tracker,
                data,
                objective=context.keep,
                folder=lifecycle.held_out_folder,
                seed=derive_seed(settings.seed, Stream.BOOTSTRAP),
                console=console,
            )
        tracker.end_sweep("KILLED" if interrupted else "FINISHED")
    finally:
        waiting = tracker.close(CLOSE_WAIT_S)
    return SweepEnd(
        ledger=ledger,
        interrupted=interrupted,
        out_of_time=lifecycle.out_of_time,
        hopeless=lifecycle.hopeless,
        last_error=lifecycle.remaining_error,
        waiting_records=waiting,
        tracking_problem=tracker.problem,
        set_aside=tracker.num_set_aside,
        refused=tracker.refused,
        expected=expected[0],
        expected_score=expected[1],
        constant=constant,
    )


def _log_best(tracker: Tracker, lifecycle: Lifecycle) -> None:
    """Log the best trial and counts of trials to the sweep's own run, for MLflow's table."""
    found = {f"trials_{state.name.lower()}": float(n) for state, n in lifecycle.ended.items()}
    if lifecycle.ledger.rungs:
        found["trials_paused"] = float(len(lifecycle.paused))
    if lifecycle.best is not None:
        best = lifecycle.best
        # also under the trials' metric name, so that sweep and trials share a column of the table
        for name in (lifecycle.objective[0], names.best_key(lifecycle.objective[0])):
            found[name] = best.score
            if best.std is not None:
                found[names.std_key(name)] = best.std
        shown = shown_score(lifecycle.objective[0], best.score, best.std)
        what = best.origin or shown_values(best.values)
        note = f"Best {lifecycle.objective[0]} **{shown}** in trial {best.number}: {what}"
        tracker.set_tags(None, {"best_trial": str(best.number), MLFLOW_RUN_NOTE: note})
    if lifecycle.ledger.redraws:
        found["redraws"] = float(lifecycle.ledger.redraws)
    for kind, number in lifecycle.failures.items():
        found[f"trials_{kind.replace(' ', '_')}"] = float(number)
    # the number of ended trials: a resumed sweep logs at a later step
    tracker.log_metrics(None, found, step=lifecycle.ended.total())


def _shown(params: Mapping[str, object]) -> dict[str, object]:
    """Parameters without unset ones; tuples are joined to text."""
    return {
        key: " ".join(map(str, value)) if isinstance(value, tuple) else value
        for key, value in params.items()
        if value not in (None, (), False)
    }

"""Trials of earlier sweeps for `--warm-start`: finds them and selects those that fit."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from foldsweep.checks import brief
from foldsweep.choices import tupled
from foldsweep.errors import UserError
from foldsweep.names import DIVERGED
from foldsweep.texts import text
from foldsweep.tracking import sqlite_path
from search_spaces.space import SearchSpace
from sweeps.distributions import nearest, plain
from sweeps.outcomes import POINT_ATTR, failure_of
from sweeps.sampling import containers
from sweeps.settings import SweepSettings
from sweeps.study import JOURNAL_FILE, open_storage
from sweeps.warm_start import EarlierTrial, Results, Source

ORIGIN_ATTR = "origin"
"""Study attribute with everything that decides whether its trials fit another sweep."""
MOST = 300
"""Most trials of a source that the sampler sees; if there are more, the best of them."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Origin of a study's scores: what was trained, and on which rows it was scored."""

    variant: str
    objective: str
    scored_on: str
    """Rows on which trials were scored: `validation` or `test`."""
    epochs: int
    fixed: Mapping[str, Any]
    """Fixed values of the configuration, as plain JSON values."""
    identity: Mapping[str, str]
    """Digests of data and folds."""

    @classmethod
    def of(
        cls, space: SearchSpace, settings: SweepSettings, epochs: int, identity: Mapping[str, str]
    ) -> "Origin":
        """Origin of the scores of a sweep."""
        return cls(
            variant=space.variant.full_name,
            objective=settings.objective[0],
            scored_on="test" if settings.select_on_test else "validation",
            epochs=epochs,
            fixed={key: _json(value) for key, value in space.fixed.items()},
            identity=dict(identity),
        )


def sources_of(
    settings: SweepSettings,
    space: SearchSpace,
    distributions: Mapping[str, BaseDistribution],
    origin: Origin,
) -> list[Source]:
    """Sources that `settings.warm_start` names, for one space.

    A source of which no trial fits is included, with the reason.

    Args:
        settings: Settings of the new sweep, which also name the place of earlier sweeps.
        space: A space of the new sweep.
        distributions: Distributions of its parameters.
        origin: Origin of the new sweep's scores.

    Raises:
        UserError: If a sweep is not found.
    """
    sources = []
    for given in settings.warm_start:
        with _studies(settings, given) as studies:
            sources += [_source(study, space, distributions, origin) for study in studies]
    return sources


def check_used(settings: SweepSettings, sources: Sequence[Source]) -> None:
    """Refuse an earlier sweep of which no trial fits any space.

    Args:
        settings: Settings of the new sweep.
        sources: Sources for all its spaces.

    Raises:
        UserError: If there is such a sweep; the message has the reasons.
    """
    for given in settings.warm_start:
        own = [s for s in sources if given in (s.name, s.name.partition("/")[0])]
        if not any(source.trials for source in own):
            reasons = "; ".join(dict.fromkeys(f"{s.name}: {s.misfit}" for s in own))
            raise UserError.of("sources.no-trial-fits", given=given, reasons=reasons)


@contextmanager
def _studies(settings: SweepSettings, given: str) -> Iterator[list[optuna.Study]]:
    """Open the studies of a sweep, or of one of its spaces, in its folder and in --study.

    A database that only the earlier sweep's own settings name is not opened: a file must not
    decide which server is contacted.

    Raises:
        UserError: If there is no such study.
    """
    name, _, space = given.partition("/")
    folder = settings.local_root / name
    places = [*folder.glob(f"*/{JOURNAL_FILE}")]
    opened: list[BaseStorage] = [open_storage(None, place) for place in places]
    file = sqlite_path(settings.study or "")
    if settings.study is not None and (file is None or file.exists()):
        opened.append(open_storage(settings.study, Path(JOURNAL_FILE)))
    try:
        yield _named(opened, settings, given, name, space)
    finally:
        for storage in opened:
            if isinstance(storage, RDBStorage):
                storage.engine.dispose()


def _named(
    opened: Sequence[BaseStorage], settings: SweepSettings, given: str, name: str, space: str
) -> list[optuna.Study]:
    keys = [
        (key, storage)
        for storage in opened
        for key in optuna.get_all_study_names(storage)
        if (key == given if space else key.startswith(f"{name}/"))
    ]
    if not keys:
        root = settings.local_root
        if settings.study:
            raise UserError.of("sources.not-in-database", given=given, root=root)
        raise UserError.of("sources.not-in-folder", given=given, root=root)
    return [optuna.load_study(study_name=key, storage=storage) for key, storage in keys]


def _source(
    study: optuna.Study,
    space: SearchSpace,
    distributions: Mapping[str, BaseDistribution],
    origin: Origin,
) -> Source:
    """Source with the trials of a study that fit a space; if none fits, with the reason."""
    name, trials = study.study_name, study.get_trials(deepcopy=False)
    known = study.user_attrs.get(ORIGIN_ATTR)
    if not isinstance(known, dict) or set(known) != set(asdict(origin)):
        return _empty(name, text("sources.other-version"))
    there = Origin(**known)
    if there.variant != origin.variant:
        why = text("sources.other-variant", was=there.variant, now=origin.variant)
        return _empty(name, why)
    if there.objective != origin.objective:
        why = text("sources.other-objective", was=there.objective, now=origin.objective)
        return _empty(name, why)
    if there.scored_on != origin.scored_on:
        why = text("sources.other-rows", was=there.scored_on, now=origin.scored_on)
        return _empty(name, why)
    same = (there.identity, there.epochs) == (origin.identity, origin.epochs)
    point, of_point = (None, None) if same else _common_point(trials, space, there)
    if not same and of_point is None:
        return _empty(name, text("sources.nothing-common"))
    fit, misfits, num_trials = [], [], 0
    for trial in trials:
        results = _results(trial, there)
        if results is None:
            continue
        num_trials += 1
        params, misfit = _fitted(trial, there, space, distributions)
        if misfit:
            misfits.append(misfit)
        else:
            fit.append(EarlierTrial(params=params, results=results))
    return Source(
        name=name,
        trials=tuple(_best(fit, study.direction == optuna.study.StudyDirection.MAXIMIZE)),
        num_trials=num_trials,
        point=point,
        of_point=of_point,
        misfit=misfits[0] if misfits else "it has no result yet",
    )


def _empty(name: str, reason: str) -> Source:
    return Source(name=name, trials=(), num_trials=0, misfit=reason)


def _results(trial: FrozenTrial, there: Origin) -> Results | None:
    """Finite values of the objective by epoch, the final value under None.

    Empty if the trial diverged; None if nothing was measured.
    """
    if trial.state == TrialState.FAIL:
        return {} if failure_of(trial)[0] == DIVERGED else None
    results: dict[int | None, float] = {
        epoch: value for epoch, value in trial.intermediate_values.items() if epoch < there.epochs
    }
    if trial.state == TrialState.COMPLETE:
        results[None] = trial.values[0]
    if not results:
        return None
    return {epoch: value for epoch, value in results.items() if math.isfinite(value)}


def _common_point(
    trials: Sequence[FrozenTrial], space: SearchSpace, there: Origin
) -> tuple[int | None, Results | None]:
    """Number and results of the first initial point that an earlier sweep trained to the end.

    None for both if there is no such point.
    """
    for number, point in enumerate(space.points):
        wanted = {key: _json(value) for key, value in point.config.items()}
        for trial in trials:
            is_it = trial.user_attrs.get(POINT_ATTR, {}).get("config") == wanted
            results = _results(trial, there) if is_it else None
            if results and None in results:
                return number, results
    return None, None


def _fitted(
    trial: FrozenTrial,
    there: Origin,
    space: SearchSpace,
    distributions: Mapping[str, BaseDistribution],
) -> tuple[dict[str, Any], str]:
    """A trial's parameters in the domains of a space, and the reason if the trial does not fit.

    A trial fits if the space can produce its whole configuration, except for the epochs. The
    reason is empty if the trial fits.
    """
    texts = containers(space)
    values = {key: texts.get(key, {}).get(value, value) for key, value in trial.params.items()}
    point = trial.user_attrs.get(POINT_ATTR, {}).get("config", {})
    try:
        config = space.variant.config.from_dict(tupled({**there.fixed, **values, **point}))
        was = config.to_dict()
        now = space.complete({key: was[key] for key in distributions if key in was}).to_dict()
    except UserError as error:
        return {}, str(error)
    for key in sorted(set(was) - {space.resource, *distributions}):
        if was[key] != now[key]:
            ours, theirs = brief(now[key]), brief(was[key])
            why = text("sources.fixed-differs", key=key, was=theirs, now=ours, space=space.name)
            return {}, why
    params = {}
    for key in space.tree.active({key: was[key] for key in distributions}):
        params[key] = nearest(distributions[key], was[key])
        numeric = not isinstance(distributions[key], CategoricalDistribution)
        if params[key] is None or (numeric and params[key] != was[key]):
            return {}, text("sources.outside-domain", key=key, value=brief(was[key]))
    return params, ""


def _best(trials: Sequence[EarlierTrial], higher: bool) -> list[EarlierTrial]:
    """Select up to `MOST` trials: first the longest trained, of equal length the best.

    The order of the trials is unchanged.
    """

    def rank(trial: EarlierTrial) -> tuple[float, float]:
        if not trial.results:
            return 0.0, 0.0
        last = max(trial.results, key=_length)
        value = trial.results[last]
        return -_length(last), -value if higher else value

    kept = sorted(range(len(trials)), key=lambda i: rank(trials[i]))[:MOST]
    return [trials[i] for i in sorted(kept)]


def _length(epoch: int | None) -> float:
    return math.inf if epoch is None else epoch


def _json(value: Any) -> Any:
    """A configuration value as a study returns it, after a round trip through JSON."""
    return json.loads(json.dumps(plain(value), default=repr))

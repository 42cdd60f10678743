"""Sentences on the configurations of the best row's sweep, and how they compare with its best."""

from analysis.comparison import Comparison
from analysis.results import Trial
from analysis.words import amount
from foldsweep.numbers import plural
from foldsweep.texts import text


def choice_sentences(comparison: Comparison) -> list[str]:
    """Results for the configurations of the best row's sweep, as sentences."""
    choice, sweep = comparison.choice, comparison.rows[0].sweep.name
    number, open_ = len(choice.trials), len(choice.undistinguished)
    best, basis = choice.trials[0].label, choice.basis
    if number == 1:
        return [
            text("words.one-finalist" if choice.in_finals else "words.one-complete", sweep=sweep)
        ]
    one = "finalist" if choice.in_finals else "complete configuration"
    others = plural(number - 1, one) if number > 2 else one
    if open_ == 1:
        near = text("words.negligibly-than-some") if len(choice.equivalent) > 1 else ""
        said = text(
            "words.better-than-all",
            configurations=f"{number} {one}s",
            sweep=sweep,
            best=best,
            basis=basis,
            exception=near,
        )
    elif open_ == number and len(choice.equivalent) == 1:
        return [
            text(
                "words.none-distinguished",
                configurations=f"{number} {one}s",
                sweep=sweep,
                basis=basis,
            )
        ]
    else:
        some = text("words.some-others", number=open_ - 1, others=others)
        said = text(
            "words.undistinguished",
            these=some if open_ < number else text("words.all-others", others=others),
            sweep=sweep,
            best=best,
            basis=basis,
        )
    return [said, equivalence(comparison)]


def equivalence(comparison: Comparison) -> str:
    """Which configurations are equivalent to the best, and the smallest of them."""
    limit, equivalent = amount(comparison.rope, comparison), comparison.choice.equivalent
    if len(equivalent) == 1:
        return text("words.none-equivalent", limit=limit)
    least = size(cheapest(equivalent), equivalent[0])
    if len(equivalent) == 2:
        return text("words.one-equivalent", limit=limit, least=least)
    return text(
        "words.several-equivalent", number=f"{len(equivalent) - 1:,}", limit=limit, least=least
    )


def size(trial: Trial, best: Trial) -> str:
    """Size of a trial, or its training time, compared with the best."""
    if trial is best:
        return text("words.best-is-smallest" if trial.num_params else "words.best-is-fastest")
    if trial.num_params:
        return text(
            "words.smallest",
            trial=trial.label,
            parameters=f"{trial.num_params:,}",
            best_parameters=f"{best.num_params:,}",
        )
    return text(
        "words.fastest",
        trial=trial.label,
        seconds=f"{trial.train_time_s:.3g}",
        best_seconds=f"{best.train_time_s:.3g}",
    )


def cheapest(trials: tuple[Trial, ...]) -> Trial:
    """The smallest trial; the fastest if there are estimators, which have no parameters."""
    if all(trial.num_params for trial in trials):
        return min(trials, key=lambda trial: trial.num_params)
    return min(trials, key=lambda trial: trial.train_time_s)

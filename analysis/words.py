"""What a comparison comes to in plain sentences, for the console and the report alike."""

from analysis.comparison import Comparison, PairwiseTest, Row
from analysis.significance import ALPHA
from foldsweep.numbers import shown
from foldsweep.numbers import signed as with_sign

VERDICTS = {
    "better": "really better",
    "equal": "practically equal",
    "open": "cannot be told apart",
    "untested": "not tested",
}


def headline(comparison: Comparison) -> str:
    """Which is best, by how much, and whether to believe it."""
    best = comparison.rows[0]
    if len(comparison.rows) == 1:
        return f"{best.name} reaches {score(best, comparison)}.{_gain(best)}"
    runner_up, test = comparison.rows[1], comparison.tests[0]
    if test.difference is None:
        return (
            f"{best.name} has the {extreme(comparison)} {comparison.objective.name},"
            f" {score(best, comparison)}, before {runner_up.name} with"
            f" {score(runner_up, comparison)}. Whether it is really better was {test.basis}."
        )
    apart = gap(test.difference.mean, comparison)
    if test.verdict == "better":
        return (
            f"{best.name} is best: {score(best, comparison)}, {apart} {runner_up.name},"
            f" and the difference is real (p {shown_p(test.p_holm)})."
        )
    if test.verdict == "equal":
        return (
            f"{best.name} and {runner_up.name} are practically equal: {score(best, comparison)}"
            f" and {score(runner_up, comparison)}; they differ by less than"
            f" {amount(comparison.rope, comparison)} with a probability of"
            f" {test.difference.p_equal:.2f}."
        )
    if amount(test.difference.mean, comparison) == amount(0.0, comparison):
        return (
            f"{best.name} and {runner_up.name} are level at {score(best, comparison)}:"
            f" nothing says that one of them is better."
        )
    return (
        f"{best.name} is ahead with {score(best, comparison)}, {apart} {runner_up.name},"
        f" but that may be luck (p {shown_p(test.p_holm)}): do not call it better yet."
    )


def belief(comparison: Comparison) -> tuple[str, str]:
    """Whether to believe that the first is best: `yes`, `no` or `plain`, and the words for it."""
    if len(comparison.rows) < 2:
        return "plain", "one sweep: nothing to compare it with"
    verdict = comparison.tests[0].verdict
    return {
        "better": ("yes", "Believe it: the difference is real"),
        "equal": ("plain", "Take either: the difference does not matter"),
        "open": ("no", "Do not believe it yet: it may be luck"),
        "untested": ("no", "Not tested: take it as a hint"),
    }[verdict]


def sentences(comparison: Comparison) -> list[str]:
    """What else the comparison says, a sentence or two each."""
    said = []
    if len(comparison.rows) > 1 and comparison.tests[0].difference is not None:
        said.append(_about(comparison.tests[0], comparison))
    beaten = [p for p in comparison.tests if p.a == comparison.rows[0].name]
    if len(beaten) > 1:
        real = [p.b for p in beaten if p.verdict == "better"]
        rest = [p.b for p in beaten if p.verdict in ("open", "equal")]
        named = f"really better than {_listed(real)}" if real else "really better than none"
        also = f"; it cannot be told from {_listed(rest)}" if rest else ""
        said.append(f"Among all, {comparison.rows[0].name} is {named}{also}.")
    said.append(_choice(comparison))
    for row in comparison.rows:
        if row.sweep.selected_on_test:
            said.append(f"{row.name} was selected on test rows: its figures are too good.")
    return said


def advice(comparison: Comparison) -> str | None:
    """What would decide an open question; None where none is open."""
    if len(comparison.rows) < 2 or comparison.tests[0].verdict not in ("open", "untested"):
        return None
    return "what would decide it: the best few of each again, on fresh seeds and folds"


def _about(test: PairwiseTest, comparison: Comparison) -> str:
    assert test.difference is not None
    d, signed = test.difference, lambda value: with_sign(value, places=comparison.places)
    return (
        f"{test.a} minus {test.b}: {signed(d.mean)} (95 % interval {signed(d.low)} to"
        f" {signed(d.high)}), from {test.basis}. Probability that {test.a} is better by more than"
        f" {comparison.rope:.4g}: {d.p_better:.2f}; practically equal: {d.p_equal:.2f}; worse:"
        f" {d.p_worse:.2f}."
    )


def _choice(comparison: Comparison) -> str:
    like = comparison.like_best
    if comparison.num_compared == 1:
        return "There is one complete configuration: nothing to choose from."
    if len(like) == 1:
        return (
            f"Of {comparison.num_compared} complete configurations on the sweep's own folds,"
            f" {like[0].label} is better than every other."
        )
    if all(t.num_params for t in like):
        small = min(like, key=lambda t: t.num_params)
        size = f"smallest, {small.label}, has {small.num_params:,} parameters"
        size += f" instead of {like[0].num_params:,}"
    else:  # estimators have no such number
        small = min(like, key=lambda t: t.train_time_s)
        size = f"fastest, {small.label}, trains in {small.train_time_s:.3g} s"
        size += f" instead of {like[0].train_time_s:.3g} s"
    if small is like[0]:
        size = f"best is also the {size.partition(',')[0]} of them"
    return (
        f"On the sweep's own folds, {len(like)} of {comparison.num_compared} complete"
        f" configurations cannot be told from the best, {like[0].label}; the {size}."
    )


def score(row: Row, comparison: Comparison) -> str:
    """The figure that decides, and what it is."""
    places = comparison.places - 1 if comparison.objective.is_share else comparison.places
    if comparison.in_finals and row.finals:
        name = comparison.objective.name
        return f"{name} {shown(row.finals.mean, places=places)} in the finals"
    return f"an expected {comparison.objective.name} of {shown(row.expected, places=places)}"


def _gain(row: Row) -> str:
    base = row.sweep.baseline
    if base is None or base is row.best:
        return ""
    return f" The baseline, {base.origin}, has {shown(base.score)} on the same folds."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def extreme(comparison: Comparison) -> str:
    """Which end of the scale is best."""
    return "highest" if comparison.objective.better == "higher" else "lowest"


def amount(difference: float, comparison: Comparison) -> str:
    """How large a difference is: of accuracies in percentage points."""
    if not comparison.objective.is_share:
        return shown(abs(difference), places=comparison.places)
    value = f"{100 * abs(difference):.1f}"
    return f"{value} point{'' if value == '1.0' else 's'}"


def gap(difference: float, comparison: Comparison) -> str:
    """A difference and its direction, such as `1.5 points above`."""
    return f"{amount(difference, comparison)} {'above' if difference >= 0 else 'below'}"


def direction(comparison: Comparison) -> str:
    """What everything is compared by, and which way is better."""
    return f"{comparison.objective.name}, {comparison.objective.better} is better"


def shown_p(p: float | None) -> str:
    """A p-value after `p`."""
    if p is None:
        return "unknown"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def level() -> str:
    """How the tables' p-values and verdicts are to be read."""
    return (
        "p: corrected resampled t-test (Nadeau and Bengio), two-sided, Holm-corrected for all"
        f" tests; really better: p < {ALPHA:g}. Probabilities: Bayesian correlated t-test."
    )

"""What a comparison comes to in plain sentences, for the console and the report alike."""

from analysis.comparison import Comparison, Pair, Row
from analysis.significance import ALPHA

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
    runner_up, pair = comparison.rows[1], comparison.pairs[0]
    if pair.difference is None:
        return (
            f"{best.name} has the highest accuracy, {score(best, comparison)}, before"
            f" {runner_up.name} with {score(runner_up, comparison)}. Whether it is really better"
            f" was {pair.basis}."
        )
    gap = points(pair.difference.mean)
    if pair.verdict == "better":
        return (
            f"{best.name} is best: {score(best, comparison)}, {gap} above {runner_up.name},"
            f" and the difference is real (p {shown_p(pair.p_holm)})."
        )
    if pair.verdict == "equal":
        return (
            f"{best.name} and {runner_up.name} are practically equal: {score(best, comparison)}"
            f" and {score(runner_up, comparison)}; they differ by less than"
            f" {points(comparison.rope)} with a probability of {pair.difference.p_equal:.2f}."
        )
    if gap == points(0.0):
        return (
            f"{best.name} and {runner_up.name} are level at {score(best, comparison)}:"
            f" nothing says that one of them is better."
        )
    return (
        f"{best.name} is ahead with {score(best, comparison)}, {gap} above {runner_up.name},"
        f" but that may be luck (p {shown_p(pair.p_holm)}): do not call it better yet."
    )


def belief(comparison: Comparison) -> tuple[str, str]:
    """Whether to believe that the first is best: `yes`, `no` or `plain`, and the words for it."""
    if len(comparison.rows) < 2:
        return "plain", "one sweep: nothing to compare it with"
    verdict = comparison.pairs[0].verdict
    return {
        "better": ("yes", "Believe it: the difference is real"),
        "equal": ("plain", "Take either: the difference does not matter"),
        "open": ("no", "Do not believe it yet: it may be luck"),
        "untested": ("no", "Not tested: take it as a hint"),
    }[verdict]


def sentences(comparison: Comparison) -> list[str]:
    """What else the comparison says, a sentence or two each."""
    said = []
    if len(comparison.rows) > 1 and comparison.pairs[0].difference is not None:
        said.append(_about(comparison.pairs[0], comparison))
    beaten = [p for p in comparison.pairs if p.a == comparison.rows[0].name]
    if len(beaten) > 1:
        real = [p.b for p in beaten if p.verdict == "better"]
        rest = [p.b for p in beaten if p.verdict in ("open", "equal")]
        named = f"really better than {_listed(real)}" if real else "really better than none"
        also = f"; it cannot be told from {_listed(rest)}" if rest else ""
        said.append(f"Among all, {comparison.rows[0].name} is {named}{also}.")
    said.append(_choice(comparison))
    for row in comparison.rows:
        if row.sweep.selected_on_test:
            said.append(f"{row.name} was selected on test pairs: its figures are too high.")
    return said


def advice(comparison: Comparison) -> str | None:
    """What would decide an open question; None where none is open."""
    if len(comparison.rows) < 2 or comparison.pairs[0].verdict not in ("open", "untested"):
        return None
    return "what would decide it: the best few of each again, on fresh seeds and folds"


def _about(pair: Pair, comparison: Comparison) -> str:
    assert pair.difference is not None
    d = pair.difference
    return (
        f"{pair.a} minus {pair.b}: {signed(d.mean)} (95 % interval {signed(d.low)} to"
        f" {signed(d.high)}), from {pair.basis}. Probability that {pair.a} is better by more than"
        f" {comparison.rope:g}: {d.p_better:.2f}; practically equal: {d.p_equal:.2f}; worse:"
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
    smallest = min(like, key=lambda t: t.num_params)
    size = (
        "the best is also the smallest of them"
        if smallest is like[0]
        else f"the smallest, {smallest.label}, has {smallest.num_params:,} parameters"
        f" instead of {like[0].num_params:,}"
    )
    return (
        f"On the sweep's own folds, {len(like)} of {comparison.num_compared} complete"
        f" configurations cannot be told from the best, {like[0].label}; {size}."
    )


def score(row: Row, comparison: Comparison) -> str:
    """The figure that decides, and what it is."""
    if comparison.in_finals and row.finals:
        return f"{row.finals.mean:.3f} in the finals"
    return f"an expected accuracy of {row.expected:.3f}"


def _gain(row: Row) -> str:
    base = row.baseline
    if base is None or base is row.best:
        return ""
    return f" The baseline, {base.origin}, has {base.accuracy:.3f} on the same folds."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def points(share: float) -> str:
    """A difference of accuracies in percentage points."""
    value = f"{100 * abs(share):.1f}"
    return f"{value} point{'' if value == '1.0' else 's'}"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{round(value, 4) + 0.0:+.4f}"  # no minus before zeros


def shown_p(p: float | None) -> str:
    """A p-value after `p`."""
    if p is None:
        return "unknown"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def level() -> str:
    """How the tables' p-values and verdicts are to be read."""
    return (
        "p: corrected resampled t-test (Nadeau and Bengio), two-sided, Holm-corrected for all"
        f" pairs; really better: p < {ALPHA:g}. Probabilities: Bayesian correlated t-test."
    )

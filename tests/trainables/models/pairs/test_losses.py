import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from trainables.models.pairs.losses import (
    MARGIN,
    answers,
    comparison_hits,
    digit_hits,
    pair_losses,
    probabilities,
)
from trainables.models.pairs.scores import Scores

BATCH = 7
fractions = st.floats(0, 1)


def drawn(seed, units, *, digits):
    g = torch.Generator().manual_seed(seed)
    scores = Scores(
        5 * torch.randn(BATCH, units, generator=g),
        5 * torch.randn(BATCH, 2, 10, generator=g) if digits else None,
    )
    classes = torch.randint(10, (BATCH, 2), generator=g)
    return scores, classes, torch.randint(2, (BATCH,), generator=g)


def losses(*args, **weights):
    """Total loss of each pair."""
    return sum(parts(*args, **weights).values())


def parts(scores, classes, target, *, main=1.0, aux=0.0, smoothing=0.0, **more):
    return pair_losses(
        scores,
        {"classes": classes, "target": target},
        main_weight=torch.tensor([main]),
        aux_weight=torch.tensor([aux]),
        label_smoothing=torch.tensor([smoothing]),
        **more,
    )


@given(seed=st.integers(0, 999), smoothing=st.floats(0, 0.9))
def test_digits_are_scored_by_torchs_cross_entropy(seed, smoothing):
    scores, classes, target = drawn(seed, 2, digits=True)
    ours = losses(
        scores, classes, target, main=0.0, aux=0.5, digit_smoothing=torch.tensor([smoothing])
    )
    theirs = F.cross_entropy(
        scores.digits.flatten(0, 1), classes.flatten(), label_smoothing=smoothing, reduction="none"
    )
    torch.testing.assert_close(ours, theirs.view(BATCH, 2).sum(1) / 2)


@given(seed=st.integers(0, 999), smoothing=st.floats(0, 0.9))
def test_two_units_are_scored_by_torchs_cross_entropy(seed, smoothing):
    scores, classes, target = drawn(seed, 2, digits=False)
    ours = losses(scores, classes, target, smoothing=smoothing)
    theirs = F.cross_entropy(
        scores.comparison, target, label_smoothing=smoothing, reduction="none"
    )
    torch.testing.assert_close(ours, theirs)


@given(seed=st.integers(0, 999), smoothing=st.floats(0, 0.9))
def test_one_unit_is_scored_by_torchs_binary_cross_entropy(seed, smoothing):
    scores, classes, target = drawn(seed, 1, digits=False)
    ours = losses(scores, classes, target, smoothing=smoothing)
    soft = target * (1 - smoothing) + smoothing / 2
    theirs = F.binary_cross_entropy_with_logits(scores.comparison[:, 0], soft, reduction="none")
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("distance", "target", "smoothing", "expected"),
    [
        (0.25, 1, 0.0, 0.0625),
        (0.25, 0, 0.0, 0.5625),
        (2.0, 1, 0.0, 4.0),
        (2.0, 0, 0.0, 0.0),
        (1.0, 0, 0.0, 0.0),
        (0.25, 1, 0.2, 0.9 * 0.0625 + 0.1 * 0.5625),
        (0.25, 0, 0.2, 0.9 * 0.5625 + 0.1 * 0.0625),
    ],
)
def test_a_distance_is_scored_by_the_contrastive_loss(distance, target, smoothing, expected):
    assert MARGIN == 1
    scores = Scores(torch.tensor([[9.0]]), distance=torch.tensor([distance]))
    classes, target = torch.tensor([[3, 7]]), torch.tensor([target])
    ours = losses(scores, classes, target, main=0.5, smoothing=smoothing)
    assert ours.item() == pytest.approx(0.5 * expected)


@given(seed=st.integers(0, 999), main=fractions, aux=fractions, smoothing=st.floats(0, 0.9))
def test_the_loss_weighs_the_comparison_and_both_digits(seed, main, aux, smoothing):
    scores, classes, target = drawn(seed, 2, digits=True)
    ours = losses(scores, classes, target, main=main, aux=aux, smoothing=smoothing)
    left, right = (
        F.cross_entropy(scores.digits[:, side], classes[:, side], reduction="none")
        for side in (0, 1)
    )
    comparison = F.cross_entropy(
        scores.comparison, target, label_smoothing=smoothing, reduction="none"
    )
    torch.testing.assert_close(ours, main * comparison + aux * (left + right))
    digits = parts(scores, classes, target, main=main, aux=aux, smoothing=smoothing)["aux"]
    torch.testing.assert_close(digits, aux * (left + right))


@pytest.mark.parametrize("units", [1, 2])
def test_a_comparison_is_right_where_the_larger_score_is_the_targets(units):
    scores, _, target = drawn(0, units, digits=False)
    column = scores.comparison
    says_one = column[:, 0] > 0 if units == 1 else column[:, 1] > column[:, 0]
    expected = [bool(says) == bool(t) for says, t in zip(says_one, target, strict=True)]
    assert comparison_hits(scores, {"target": target}).tolist() == expected
    assert answers(scores).tolist() == [int(says) for says in says_one]
    assert answers(scores.comparison).tolist() == answers(scores).tolist()


def test_the_digits_are_a_part_of_the_loss_where_they_are_named():
    assert set(parts(*drawn(0, 2, digits=True))) == {"main", "aux"}
    assert set(parts(*drawn(0, 2, digits=False))) == {"main"}


def test_a_digit_counts_half_where_two_are_named():
    scores, classes, _ = drawn(1, 2, digits=True)
    right = (scores.digits.argmax(2) == classes).float().mean(1)
    torch.testing.assert_close(digit_hits(scores, {"classes": classes}), right)


@pytest.mark.parametrize("output", [Scores(torch.zeros(3, 2)), torch.zeros(3, 2)], ids=type)
def test_without_names_there_are_no_digits_to_be_right(output):
    assert digit_hits(output, {"classes": torch.zeros(3, 2, dtype=torch.int64)}) is None


@given(seed=st.integers(0, 999), units=st.sampled_from([1, 2]))
def test_probabilities_are_those_of_the_loss(seed, units):
    scores, classes, target = drawn(seed, units, digits=False)
    chosen = probabilities(scores.comparison).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(
        -chosen.log(), losses(scores, classes, target), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("digits", [True, False])
def test_members_in_a_leading_axis_are_members_one_by_one(units, digits):
    """The members have their own loss weights, with an extra axis for the pairs."""
    members = [drawn(seed, units, digits=digits) for seed in (1, 2, 3)]
    scores = Scores(
        torch.stack([s.comparison for s, _, _ in members]),
        torch.stack([s.digits for s, _, _ in members]) if digits else None,
    )
    target = {
        "classes": torch.stack([classes for _, classes, _ in members]),
        "target": torch.stack([target for _, _, target in members]),
    }
    weights = {"main": (0.6, 1.0, 0.0), "aux": (0.2, 0.0, 0.9), "smoothing": (0.1, 0.0, 0.5)}
    together = pair_losses(
        scores,
        target,
        main_weight=torch.tensor(weights["main"])[:, None],
        aux_weight=torch.tensor(weights["aux"])[:, None],
        label_smoothing=torch.tensor(weights["smoothing"])[:, None],
    )
    for m, member in enumerate(members):
        alone = parts(*member, **{name: values[m] for name, values in weights.items()})
        assert alone.keys() == together.keys()
        for name, values in alone.items():
            torch.testing.assert_close(together[name][m], values)
        hits = comparison_hits(member[0], {"target": member[2]})
        assert comparison_hits(scores, target)[m].tolist() == hits.tolist()

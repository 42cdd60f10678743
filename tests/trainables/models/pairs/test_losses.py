import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from trainables.losses import MARGIN, batch_sums, comparison_hits, pair_losses
from trainables.models.layers import Scores

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
    """The whole loss of each pair."""
    return parts(*args, **weights)[0]


def parts(scores, classes, target, *, main=1.0, aux=0.0, smoothing=0.0):
    return pair_losses(
        scores,
        classes,
        target,
        main_weight=torch.tensor(main),
        aux_weight=torch.tensor(aux),
        label_smoothing=torch.tensor(smoothing),
    )


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
    digits = parts(scores, classes, target, main=main, aux=aux, smoothing=smoothing)[1]
    torch.testing.assert_close(digits, aux * (left + right))


@pytest.mark.parametrize("units", [1, 2])
def test_a_comparison_is_right_where_the_larger_score_is_the_targets(units):
    scores, _, target = drawn(0, units, digits=False)
    column = scores.comparison
    says_one = column[:, 0] > 0 if units == 1 else column[:, 1] > column[:, 0]
    expected = [bool(says) == bool(t) for says, t in zip(says_one, target, strict=True)]
    assert comparison_hits(scores, target).tolist() == expected


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("digits", [True, False])
def test_sums_leave_out_what_only_fills_a_batch_up(units, digits):
    scores, classes, target = drawn(1, units, digits=digits)
    weight = torch.tensor([1.0] * 4 + [0.0] * 3)
    loss_weights = (torch.tensor(0.6), torch.tensor(0.2), torch.tensor(0.1))
    sums = batch_sums(scores, classes, target, weight, loss_weights)
    first = Scores(scores.comparison[:4], scores.digits[:4] if digits else None)
    of_first = losses(first, classes[:4], target[:4], main=0.6, aux=0.2, smoothing=0.1)
    torch.testing.assert_close(sums[0], of_first.sum())
    assert sums[1] == comparison_hits(first, target[:4]).sum()
    named = (first.digits.argmax(2) == classes[:4]).sum() if digits else 0
    assert sums[2] == named
    of_digits = parts(first, classes[:4], target[:4], main=0.6, aux=0.2, smoothing=0.1)[1].sum()
    torch.testing.assert_close(sums[3], of_digits)
    assert bool(of_digits > 0) is digits

"""When a new model takes the champion's place, on answers and on real models."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from analysis.models.champion import Champion, judge, mcnemar
from analysis.models.trained import Trained
from tests.trainables.cases import recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.data.source import DiscSource, ImageSource
from trainables.keep.fit import fit
from trainables.variants import DISC_RELU, MLP


def answers(*runs):
    """Right and wrong answers: `(3, True)` is three right ones in a row."""
    return np.concatenate([np.full(count, right) for count, right in runs])


def test_only_pairs_on_which_two_differ_count():
    ours = answers((500, True), (12, True), (4, False), (100, False))
    theirs = answers((500, True), (12, False), (4, True), (100, False))
    assert mcnemar(ours, theirs) == binomtest(12, 16).pvalue == pytest.approx(0.0768, abs=1e-4)
    assert mcnemar(theirs, ours) == mcnemar(ours, theirs)


def test_equal_answers_are_no_difference():
    same = answers((30, True), (20, False))
    assert mcnemar(same, same) == 1.0


def test_the_exact_test_keeps_its_level():
    """On models that are equally good it finds a difference in at most 5 of 100 cases."""
    rng = np.random.default_rng(0)
    found = [mcnemar(*(rng.random((2, 200)) < 0.9)) < 0.05 for _ in range(1000)]
    assert np.mean(found) < 0.05


# Models ----------------------------------------------------------------------------------------

SOURCE = digits_source()


def trained(*, source=SOURCE, seed=0, variant=MLP, pairs=300, **config):
    data = draw_pairs(source, seed=seed, train_pairs=pairs, test_pairs=300)
    recipe = recipe_of(variant, variant.config(**config), data, seed=seed)
    return Trained(model=fit(recipe, variant, data), data=data, source=source)


@pytest.fixture(scope="module")
def weak():
    return trained(epochs=1, lr=1e-5)


@pytest.fixture(scope="module")
def strong():
    return trained(epochs=12, lr=0.003)


def champion(trained, **recipe):
    model = replace(trained.model, recipe=replace(trained.model.recipe, **recipe))
    return Champion(version="7", model=model)


def test_the_first_one_wins(weak):
    verdict = judge(weak, None)
    assert verdict.wins
    right = weak.right(weak.model).mean()
    assert verdict.why == f", the first one: {right:.4f} of 300 digits pairs right"


def test_a_better_one_wins(weak, strong):
    verdict = judge(strong, champion(weak))
    assert verdict.wins
    ours, theirs = (strong.right(t.model) for t in (strong, weak))
    assert verdict.why == (
        f" in place of version 7: {ours.mean():.4f} against {theirs.mean():.4f}"
        f" on the same 300 digits pairs, p = {mcnemar(ours, theirs):.2g}"
    )


def test_a_worse_or_equal_one_does_not(weak, strong):
    for challenger in (weak, strong):
        verdict = judge(challenger, champion(strong))
        assert not verdict.wins
        assert verdict.why.startswith(" version 7: 0.")
    assert verdict.why.endswith("on the same 300 digits pairs, p = 1")


def test_a_champion_of_other_pairs_is_compared_on_these(strong):
    """Training images are never test images, whatever pairs they are drawn into."""
    other = trained(seed=5, pairs=200, epochs=1, lr=1e-5)
    verdict = judge(strong, champion(other))
    assert verdict.wins
    assert verdict.why.endswith("(version 7 was trained on others: digits, seed 5, 200 pairs)")


def test_a_champion_of_another_dataset_is_compared_on_these(weak, strong):
    verdict = judge(strong, champion(weak, dataset="mnist", data_digest="another"))
    assert verdict.wins
    assert verdict.why.endswith("(version 7 was trained on others: mnist, seed 0, 300 pairs)")


def test_a_champion_whose_pairs_are_not_known_is_not_compared(weak, strong):
    verdict = judge(strong, champion(weak, data_digest="another"))
    assert not verdict.wins
    assert verdict.why == (
        " version 7, not compared: what it was trained on, digits, seed 0, 300 pairs,"
        " cannot be drawn again here"
    )


def test_a_champion_that_has_seen_the_test_pairs_is_not_compared(strong):
    swapped = ImageSource(
        dataset="digits", train=SOURCE.test, test=SOURCE.train, origin="the other way round"
    )
    seen = trained(source=swapped, epochs=1)
    both = replace(
        SOURCE,
        train=replace(
            SOURCE.train,
            images=np.concatenate([SOURCE.test.images, SOURCE.train.images]),
            labels=np.concatenate([SOURCE.test.labels, SOURCE.train.labels]),
        ),
    )
    assert seen.data.train.shares_images(strong.data.test)
    cheat = trained(source=both, epochs=1)
    verdict = judge(replace(strong, source=both), champion(cheat))
    assert not verdict.wins
    assert verdict.why == (
        " version 7, not compared: it was trained on images of these test pairs"
    )


def test_points_are_not_compared_with_pairs_of_digits(strong):
    points = trained(source=DiscSource(), variant=DISC_RELU, epochs=1)
    verdict = judge(strong, champion(points))
    assert not verdict.wins
    assert "it was trained on disc, seed 0, 300 pairs, which are no such pairs" in verdict.why
    assert judge(points, champion(points)).why.endswith("300 disc pairs, p = 1")

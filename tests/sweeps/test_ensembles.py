"""Rounds of ensembles: each has its own folds, all evaluated on the round's test rows."""

from dataclasses import replace

import numpy as np
import pytest

from sweeps.ensembles import check, ensemble_cohort, together
from sweeps.rounds import Cohort
from tests.refusals import refused
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import MLP
from trainables.tasks.samples import Data

CONFIG = MLP.config.from_dict({"batch_size": 8, "epochs": 2, "lr": 0.01, "hidden": 8})


@pytest.fixture(scope="module")
def data() -> Data:
    return draw_pairs(digits_source(), seed=0, train_pairs=30, test_pairs=11)


def cohort_of(data: Data, number: int, *, seed: int = 0) -> Cohort:
    return ensemble_cohort(CONFIG, data, MLP.task, num_folds=3, seed=seed, number=number)


def test_members_train_on_folds_and_are_measured_on_the_test_rows(data: Data) -> None:
    cohort = cohort_of(data, 0)
    trained = np.concatenate([member.train for member in cohort.members])
    assert np.bincount(trained).tolist() == [2] * 30
    for rows in cohort.held_out():
        for name, array in data.test_rows.inputs.items():
            np.testing.assert_array_equal(rows.inputs[name], array)


def test_rounds_have_folds_and_initialisations_of_their_own(data: Data) -> None:
    one, two, again = cohort_of(data, 0), cohort_of(data, 1), cohort_of(data, 0)
    assert not np.array_equal(one.members[0].train, two.members[0].train)
    assert len({member.seed for cohort in (one, two) for member in cohort.members}) == 6
    for a, b in zip(one.members, again.members, strict=True):
        assert a.seed == b.seed
        np.testing.assert_array_equal(a.train, b.train)


def test_an_ensemble_is_scored_by_what_its_members_say_together(data: Data) -> None:
    cohort = cohort_of(data, 0)
    members = cohort.train(MLP)
    (rows, *_) = cohort.held_out()
    ensemble = together(members, [rows], MLP)
    said = np.mean([said["probability"] for said in members.predictions], axis=0).argmax(1)
    wanted = (said == rows.targets["target"]).mean()
    assert ensemble.held_out["accuracy"].tolist() == [pytest.approx(wanted)]
    assert ensemble.num_params == 3 * members.num_params
    assert "digit_accuracy" not in ensemble.held_out


def test_an_objective_that_predictions_do_not_have_is_refused(data: Data) -> None:
    digits = replace(MLP, task=replace(MLP.task, objective="digit_accuracy"))
    with refused("keep-measure.metric-does-not-apply", metric="digit_accuracy", variant="mlp"):
        check(cohort_of(data, 0), digits)
    check(cohort_of(data, 0), MLP)

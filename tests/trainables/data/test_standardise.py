"""Means and deviations of the training rows: over all values, by channel or by column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.refusals import refused
from trainables.data.standardise import constants, normalisation


@given(
    npst.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.just(2), st.just(14), st.just(14)),
        elements=st.floats(0, 255, width=32),
        fill=st.floats(0, 255, width=32),
    )
)
def test_normalised_images_have_mean_0_and_std_1(images):
    images[0, 0, 0, 0], images[0, 0, 0, 1] = 0, 255
    mean, std = normalisation(images)
    normalised = (images.astype(np.float64) - mean) / std
    assert normalised.mean() == pytest.approx(0, abs=1e-9)
    assert normalised.std() == pytest.approx(1)


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_images_without_contrast_are_refused(value):
    with refused("standardise.one-colour-or-not-finite"):
        normalisation(np.full((3, 2, 14, 14), value, dtype=np.float32))


def test_normalising_nothing_is_refused():
    with refused("standardise.no-rows"):
        normalisation(np.zeros((0, 2, 14, 14), dtype=np.float32))


@pytest.mark.parametrize(
    ("how", "shape", "axes"),
    [
        ("whole", (1, 1, 1), (0, 1, 2, 3)),
        ("channels", (3, 1, 1), (0, 2, 3)),
        ("columns", (1, 1, 5), (0, 1, 2)),
    ],
)
def test_constants_are_averages_over_all_other_axes(how, shape, axes):
    rows = np.random.default_rng(0).normal(3, 2, size=(7, 3, 4, 5)).astype(np.float32)
    mean, std = constants(rows, how)
    assert mean.shape == std.shape == shape
    np.testing.assert_allclose(mean.ravel(), rows.mean(axis=axes).ravel(), rtol=1e-5)
    np.testing.assert_allclose(std.ravel(), rows.std(axis=axes).ravel(), rtol=1e-5)


def test_a_constant_column_keeps_its_scale():
    rows = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    mean, std = constants(rows, "columns")
    assert (mean.tolist(), std.tolist()) == ([2.0, 5.0], [1.0, 1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_columns_that_are_not_finite_are_refused(value):
    rows = np.array([[1.0, value], [3.0, 5.0]], dtype=np.float32)
    with refused("standardise.not-finite"):
        constants(rows, "columns")

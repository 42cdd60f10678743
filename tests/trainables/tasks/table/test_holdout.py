import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from tests.refusals import refused
from trainables.tasks.table.holdout import rows_apart

CLASSES = np.repeat([0, 1, 2], [60, 30, 10])


def test_rows_are_those_of_scikit_learn():
    train, test = rows_apart(100, holdout=0.2, seed=3, classes=CLASSES)
    expected = train_test_split(np.arange(100), test_size=0.2, random_state=3, stratify=CLASSES)
    np.testing.assert_array_equal(train, np.sort(expected[0]))
    np.testing.assert_array_equal(test, np.sort(expected[1]))
    np.testing.assert_array_equal(np.bincount(CLASSES[test]), [12, 6, 2])


def test_rows_depend_on_the_seed_only():
    first, same, other = (rows_apart(50, holdout=0.2, seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_whole_groups_are_set_aside():
    groups = np.arange(100) % 13
    train, test = rows_apart(100, holdout=0.2, seed=0, classes=CLASSES, groups=groups)
    assert not set(groups[train]) & set(groups[test])
    assert len(train) + len(test) == 100


def test_the_latest_rows_are_set_aside():
    train, test = rows_apart(100, holdout=0.25, seed=0, by_time=True)
    np.testing.assert_array_equal(train, np.arange(75))
    np.testing.assert_array_equal(test, np.arange(75, 100))


def test_no_rows_set_aside():
    train, test = rows_apart(100, holdout=0.0, seed=0)
    assert len(train) == 100
    assert len(test) == 0


@pytest.mark.parametrize(
    ("rows", "options", "kind", "values"),
    [
        (100, {"holdout": 1.0}, "share-out-of-range", {"holdout": 1.0}),
        (100, {"holdout": -0.1}, "share-out-of-range", {"holdout": -0.1}),
        (100, {"holdout": float("nan")}, "share-out-of-range", {}),
        (3, {"holdout": 0.2}, "too-few-rows", {"rows": 3, "least": 10}),
        (100, {"holdout": 0.95}, "too-few-left", {"left": 5}),
        (20, {"holdout": 0.6, "by_time": True}, "too-few-left", {"left": 8}),
        (
            20,
            {"holdout": 0.05, "classes": np.arange(20) % 2},
            "fewer-than-classes",
            {"test": 1, "rows": 20},
        ),
        (20, {"holdout": 0.2, "groups": np.arange(20) % 2}, "too-few-groups", {"groups": 2}),
    ],
)
def test_what_cannot_be_set_aside_is_refused(rows, options, kind, values):
    with refused(f"holdout.{kind}", **values):
        rows_apart(rows, **{"seed": 0, **options})

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from foldsweep.errors import UserError
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
    ("rows", "options", "message"),
    [
        (100, {"holdout": 1.0}, "holdout must be at least 0 and below 1, but is 1"),
        (100, {"holdout": -0.1}, "holdout must be"),
        (100, {"holdout": float("nan")}, "holdout must be"),
        (3, {"holdout": 0.2}, "3 rows are too few: at least 10"),
        (100, {"holdout": 0.95}, "leave 5 to train on"),
        (20, {"holdout": 0.6, "by_time": True}, "leave 8 to train on"),
        (20, {"holdout": 0.05, "classes": np.arange(20) % 2}, "sets 1 of 20 rows aside"),
        (20, {"holdout": 0.2, "groups": np.arange(20) % 2}, "there are 2 groups"),
    ],
)
def test_what_cannot_be_set_aside_is_refused(rows, options, message):
    with pytest.raises(UserError, match=message):
        rows_apart(rows, **{"seed": 0, **options})

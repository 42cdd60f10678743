import itertools

from hypothesis import given
from hypothesis import strategies as st

from trainables.seeds import derive_seed

parts = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4)


def test_seeds_are_the_same_on_every_machine_and_day():
    assert derive_seed(0) == 3941715099434534770
    assert derive_seed(1, 2, 3) == 8317739815817533684


@given(parts)
def test_a_seed_fits_a_signed_integer_and_depends_on_its_parts_only(parts):
    assert 0 <= derive_seed(*parts) < 2**63
    assert derive_seed(*parts) == derive_seed(*parts)


def test_seeds_are_distinct_over_sweeps_trials_folds_and_streams():
    grid = [(1,), (1, 2), (2, 1), (2**32, 1), (0, 1, 1)]
    grid += itertools.product(range(6), range(20), range(10), range(4))
    assert len({derive_seed(*parts) for parts in grid}) == len(grid)


@given(parts)
def test_a_further_part_of_zero_makes_another_seed(parts):
    assert derive_seed(*parts) != derive_seed(*parts, 0)

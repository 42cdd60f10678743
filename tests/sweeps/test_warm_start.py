"""Record of the earlier trials that are shown to a sampler."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps import warm_start
from sweeps.study import StoredStudy
from sweeps.warm_start import EarlierTrial, Source, record, recorded
from tests.refusals import text

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(finite, st.integers(-9, 9), st.booleans(), st.none(), st.text(max_size=3))
results = st.dictionaries(st.one_of(st.none(), st.integers(1, 99)), finite, max_size=3)
trials = st.builds(
    EarlierTrial, params=st.dictionaries(st.text(max_size=3), values, max_size=3), results=results
)
sources = st.builds(
    Source,
    name=st.text(min_size=1, max_size=5),
    trials=st.lists(trials, max_size=4).map(tuple),
    num_trials=st.integers(0, 9),
    point=st.one_of(st.none(), st.just(0)),
    of_point=st.one_of(st.none(), results),
    misfit=st.text(max_size=5),
)


def new_study() -> StoredStudy:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="name")
    return StoredStudy(storage, "name")


@given(st.lists(sources, max_size=3).map(tuple))
def test_what_is_recorded_is_read_back(given: tuple[Source, ...]) -> None:
    study = new_study()
    assert recorded(study) is None
    record(study, given)
    assert recorded(study) == given


def test_a_long_record_is_in_parts_and_counts_once_all_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_start, "LONGEST", 50)
    many = tuple(EarlierTrial(params={"lr": i / 7}, results={None: i / 3}) for i in range(40))
    source = Source(name="first/small", trials=many, num_trials=40)
    study, set_attr = new_study(), StoredStudy.set_system_attr
    left = iter(range(5))

    def killed(self: StoredStudy, key: str, value: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        set_attr(self, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(StoredStudy, "set_system_attr", killed)
        with pytest.raises(KeyboardInterrupt):
            record(study, [source])
    assert len(study.system_attrs()) == 5
    assert recorded(study) is None
    record(study, [source])
    assert recorded(study) == (source,)
    assert len(study.system_attrs()) > 10


def test_it_says_how_many_trials_fit() -> None:
    trial = EarlierTrial(params={}, results={})
    all_fit = Source(name="first/small", trials=(trial,), num_trials=1)
    assert all_fit.described() == text(
        "warm-start.trials", fit=1, trials="1 trial", sweep="first/small"
    )
    some = Source(
        name="first/small", trials=(trial,), num_trials=3, misfit="lr 1 is outside", point=0
    )
    said = text("warm-start.trials", fit=1, trials="3 trials", sweep="first/small")
    left_out = text("warm-start.left-out", number=2, why="lr 1 is outside")
    assert some.described() == f"{said}{left_out}{text('warm-start.relative')}"

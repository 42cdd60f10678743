"""A study can be resumed by its own sweep only."""

from pathlib import Path

from ray import tune

from search_spaces.space import Point
from sweeps.study import open_storage
from tests.refusals import refused
from tests.sweeps.ledger.asking import MakeLedger, MakeSpace, Reopen


def test_a_study_that_exists_is_only_resumed(reopen: Reopen, make_ledger: MakeLedger) -> None:
    make_ledger(over=reopen())
    with refused("ledger.study-taken", study="first/small"):
        make_ledger(over=reopen())


def test_other_data_or_another_space_cannot_go_on(
    reopen: Reopen, make_space: MakeSpace, make_ledger: MakeLedger
) -> None:
    make_ledger(over=reopen())
    with refused("fingerprints.changed-since", sweep="first", part="data"):
        make_ledger(over=reopen(), resume=True, digest="4567")
    with refused("fingerprints.changed-since", sweep="first", part="task"):
        make_ledger(over=reopen(), resume=True, task="89ab")
    narrower = {"lr": tune.loguniform(1e-4, 9e-3)}
    for change in (
        {"domains": {**make_space().domains, **narrower}},
        {"domains": {**make_space().domains, "weight_decay": 0.1}},
        {"points": ()},
        {"points": (Point(name="report/row", config={"lr": 0.1}),)},
    ):
        with refused("fingerprints.changed-since", part="space"):
            make_ledger(over=reopen(), resume=True, space=make_space(**change))


def test_a_refused_resumption_leaves_the_study_as_it_was(
    tmp_path: Path, make_ledger: MakeLedger
) -> None:
    journal = tmp_path / "study.journal"
    make_ledger(over=open_storage(None, journal))
    before = journal.read_bytes()
    with refused("fingerprints.changed-since", part="data"):
        make_ledger(over=open_storage(None, journal), resume=True, digest="4567")
    assert journal.read_bytes() == before

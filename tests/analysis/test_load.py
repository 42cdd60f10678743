import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import load
from analysis.load import (
    Store,
    complete_trials,
    find_runs,
    open_store,
    sweep_objective,
    sweep_runs,
    sweeps_named,
)
from analysis.results import load_sweeps
from foldsweep import names as metrics
from tests.analysis.cases import RMSE
from tests.refusals import refused, text


@pytest.fixture(scope="module")
def store(filled: Any) -> Store:
    return open_store(filled.uri, "foldsweep")


def numbers(store: Store, sweep: str) -> list[int]:
    return [int(run.data.tags[metrics.TAG_TRIAL]) for run in complete_trials(store, sweep)]


def test_trials_come_best_first_and_only_complete_ones(store: Store) -> None:
    """Pruned, failed and running trials have metrics too, some of them better."""
    assert numbers(store, "both/mlp") == [2, 6, 4, 0]


def test_best_is_meant_by_the_objective_of_the_sweep(store: Store) -> None:
    assert sweep_objective(store, "loss/mlp").key == "val_loss"
    assert numbers(store, "loss/mlp") == [1, 2, 0]


def test_the_first_of_several_objectives_counts(make_store: Callable) -> None:
    filled = make_store()
    filled.add("first/mlp", 0.5, 0.75)
    filled.add("second/mlp", "FAIL", objective="val_loss num_params")
    store = open_store(filled.uri, "foldsweep")
    assert sweep_objective(store, "second/mlp").key == "val_loss"
    with refused("load.no-complete-trial", sweep="second/mlp"):
        complete_trials(store, "second/mlp")


def test_the_lowest_is_best_where_the_task_says_so(make_store: Callable) -> None:
    filled = make_store()
    options = {"task": "houses", "dataset": "houses", "measured": "val_rmse"}
    filled.add("a/ridge", 5.5, 4.25, 7.0, objective="val_rmse", **options)
    store = open_store(filled.uri, "foldsweep")
    assert sweep_objective(store, "a/ridge") == RMSE
    assert numbers(store, "a/ridge") == [1, 0, 2]


@pytest.mark.parametrize("tag", [metrics.TAG_TASK, metrics.TAG_METRICS])
def test_a_sweep_of_an_earlier_version_is_refused(make_store: Callable, tag: str) -> None:
    filled = make_store()
    filled.add("early/mlp", 0.5, without=(tag,))
    why = text("load.sweep-of-earlier-version")
    with refused("load.sweep-unreadable", sweep="early/mlp", reason=why):
        complete_trials(open_store(filled.uri, "foldsweep"), "early/mlp")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{", text("load.metrics-damaged", reason="")),
        ("[]", "the record of metrics is not a mapping"),
        ('{"val_accuracy": {"better": "up", "equal": 0.1}}', "the record of metric val_accuracy"),
        ('{"val_accuracy": {"better": "higher"}}', "the record of metric val_accuracy is"),
        (
            '{"val_f1": {"better": "higher", "equal": 0.1}}',
            text("load.metrics-without-objective", objective="val_accuracy"),
        ),
    ],
)
def test_a_damaged_record_of_metrics_is_said(make_store: Callable, record: str, said: str) -> None:
    filled = make_store()
    filled.add("a/mlp", 0.5)
    filled.client.set_tag(filled.parents["a/mlp"], metrics.TAG_METRICS, record)
    with refused("load.sweep-unreadable", sweep="a/mlp") as caught:
        complete_trials(open_store(filled.uri, "foldsweep"), "a/mlp")
    assert said in str(caught.value.values["reason"])


def test_the_last_epoch_counts_and_not_the_best(store: Store) -> None:
    (best, *_) = complete_trials(store, "both/mlp")
    assert best.data.metrics["val_accuracy"] == 0.75


def test_sweeps_come_newest_first(store: Store) -> None:
    assert sweeps_named(store, name=None, space="mlp") == [
        "both/mlp",
        "other/mlp",
        "loss/mlp",
        "old/mlp",
        "on_test/mlp",
    ]
    assert sweeps_named(store, name="both", space=None) == ["both/mlp", "both/cnn"]
    assert sweeps_named(store, name="both", space="cnn") == ["both/cnn"]


def test_datasets_and_sweeps_never_mix(store: Store) -> None:
    for sweep in sweeps_named(store, name=None, space="mlp"):
        runs = complete_trials(store, sweep)
        assert {run.data.tags[metrics.TAG_SWEEP] for run in runs} == {sweep}
        assert len({run.data.tags[metrics.TAG_DATASET] for run in runs}) == 1
    assert [r.data.tags["dataset"] for r in complete_trials(store, "other/mlp")] == ["mnist"]


@pytest.mark.parametrize(
    ("name", "space", "asked"),
    [
        ("missing", None, "sweep missing"),
        (None, "cnn_ws_aux", "space cnn_ws_aux"),
        ("both", "cnn_ws", "sweep both space cnn_ws"),
        ("elsewhere", None, "sweep elsewhere"),
        ("it's", None, "sweep it's"),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(
    store: Store, name: str | None, space: str | None, asked: str
) -> None:
    there = ", ".join(sweep_runs(store))
    with refused("load.no-such-sweeps", asked=asked, known=there) as caught:
        sweeps_named(store, name=name, space=space)
    assert "\n" not in str(caught.value)


def test_sweeps_without_a_complete_trial_are_refused(store: Store) -> None:
    with refused("load.no-complete-trial", sweep="failed/cnn_ws"):
        complete_trials(store, "failed/cnn_ws")
    with refused("load.sweep-unknown", sweep="missing/mlp"):
        complete_trials(store, "missing/mlp")


def test_all_pages_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [run.info.run_id for run in find_runs(store, foldsweep__kind="trial")]
    monkeypatch.setattr(load, "PAGE", 2)
    assert [run.info.run_id for run in find_runs(store, foldsweep__kind="trial")] == whole
    assert len(whole) > 10


def test_deleted_runs_are_gone(make_store: Callable) -> None:
    filled = make_store()
    filled.add("first/mlp", 0.5, 0.75)
    filled.client.delete_run(filled.trials["first/mlp", 1])
    assert numbers(open_store(filled.uri, "foldsweep"), "first/mlp") == [0]


def test_a_sweep_without_its_name_hides_no_other(
    make_store: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = make_store()
    filled.add("bad/mlp", 0.5)
    filled.add("good/mlp", 0.5)
    bad = filled.parents["bad/mlp"]
    filled.client.delete_tag(bad, metrics.TAG_SWEEP)
    store = open_store(filled.uri, "foldsweep")
    assert list(sweep_runs(store)) == ["good/mlp"]
    assert sweeps_named(store, name="good", space=None) == ["good/mlp"]
    assert numbers(store, "good/mlp") == [0]
    said = capsys.readouterr().err
    assert said.count("\n") == 1, "said once"
    why = text("load.lacks", name="foldsweep.sweep")
    assert text("load.left-out", run=bad, name="sweep", why=why) in said


def test_an_empty_experiment_has_no_sweep(make_store: Callable) -> None:
    filled = make_store()
    filled.experiment("foldsweep")
    store = open_store(filled.uri, "foldsweep")
    with refused("load.no-such-sweeps", experiment="foldsweep", asked="space mlp", known="none"):
        sweeps_named(store, name=None, space="mlp")


# Several sweeps of one name ----------------------------------------------------------------------


@pytest.fixture(params=["", "bbbbbbbb-2"], ids=["an earlier version's", "another"])
def twice(make_store: Callable, request: pytest.FixtureRequest) -> tuple[Store, str, str]:
    """Store with two sweeps `a/mlp`, and the unique name of each."""
    filled, other = make_store(), request.param
    filled.add("a/mlp", 0.5, 0.75, uuid=other)
    filled.add("a/mlp", 0.25, uuid="aaaaaaaa-1")
    filled.add("c/mlp", 0.9, uuid="cccccccc-3")
    filled.measure("a/mlp", 0, "evaluation", (0.6, 0.7), uuid=other)
    filled.measure("a/mlp", 0, "evaluation", (0.2, 0.3), uuid="aaaaaaaa-1")
    store = open_store(filled.uri, "foldsweep")
    return store, "a@aaaaaaaa/mlp", f"a@{other[:8] or '00000000'}/mlp"


def test_sweeps_of_one_name_are_told_apart(twice: tuple[Store, str, str]) -> None:
    store, new, old = twice
    assert sweeps_named(store, name=None, space="mlp") == ["c/mlp", new, old]
    scores = {
        s: [r.data.metrics["val_accuracy"] for r in complete_trials(store, s)] for s in twice[1:]
    }
    assert scores == {new: [0.25], old: [0.75, 0.5]}
    sweeps = {sweep.name: sweep for sweep in load_sweeps(store)}
    assert set(sweeps) == {"c/mlp", new, old}
    assert [len(sweeps[name].trials) for name in (new, old)] == [1, 2]
    assert [sweeps[name].evaluations[0].scores for name in (new, old)] == [(0.2, 0.3), (0.6, 0.7)]
    assert {trial.sweep for trial in sweeps[new].trials} == {new}
    (one,) = load_sweeps(store, sweeps=[new.rpartition("/")[0]])
    assert one.name == new


@pytest.mark.parametrize("word", ["a", "a/mlp"])
def test_a_name_that_several_sweeps_have_is_asked_for(
    twice: tuple[Store, str, str], word: str
) -> None:
    store, *both = twice
    which = ", ".join(sorted(name.rpartition("/")[0] for name in both))
    for name, ask in (
        (word, lambda: load_sweeps(store, sweeps=[word])),
        (word, lambda: sweeps_named(store, name=word, space=None)),
        ("a/mlp", lambda: complete_trials(store, "a/mlp")),
    ):
        with refused("load.name-ambiguous", count=2, name=name, known=which):
            ask()


def test_one_sweep_of_two_spaces_is_one(make_store: Callable) -> None:
    filled = make_store()
    for space in ("mlp", "cnn"):
        filled.add(f"a/{space}", 0.5, uuid="aaaaaaaa-1")
    assert set(sweep_runs(open_store(filled.uri, "foldsweep"))) == {"a/mlp", "a/cnn"}


# Stores that cannot be opened -------------------------------------------------------------------


def test_a_missing_experiment_is_said(filled: Any) -> None:
    with refused("load.experiment-unknown", name="nothing"):
        open_store(filled.uri, "nothing")


def test_a_missing_file_is_said_and_not_made(tmp_path: Path) -> None:
    with refused("load.store-missing", path=tmp_path / "mlflow.db"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db", "foldsweep")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with refused("load.store-silent", uri=f"sqlite:///{tmp_path}/mlflow.db") as caught:
        open_store(f"sqlite:///{tmp_path}/mlflow.db", "foldsweep")
    assert "file is not a database" in str(caught.value.values["reason"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [("bogus://host", "bogus"), ("bogus+driver://user@host/db", "bogus+driver")],
)
def test_an_unknown_scheme_is_said_in_one_line(uri: str, scheme: str) -> None:
    with refused("tracking.scheme-unknown", scheme=scheme) as caught:
        open_store(uri, "foldsweep")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_is_said_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
    started = time.monotonic()
    with refused("load.store-silent", uri=uri) as caught:
        open_store(uri, "foldsweep")
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)


def test_no_password_of_a_server_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with refused("load.store-silent", uri="http://***@127.0.0.1:1") as caught:
        open_store("http://user:s3cr3t@127.0.0.1:1", "foldsweep")
    assert "s3cr3t" not in str(caught.value)

"""Copies of sweeps that get a name of their own; the original stays unchanged."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from sweeps.ledger import Ledger
from sweeps.run import read_settings
from sweeps.settings import SweepSettings
from sweeps.settings_file import check_place, recorded_identity, save_settings
from sweeps.study import open_storage
from sweeps.tracking.spool import CURSOR_FILE, SPOOL_FILE, TARGET_FILE, Spool, read_records
from tests.refusals import refused


@pytest.fixture(params=["journal", "database"])
def copy(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_ledger: Callable[..., Ledger],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A copy of sweep `first` in `copies`; of the three trials in its study two have ended."""
    monkeypatch.chdir(tmp_path)
    study = f"sqlite:///{tmp_path}/study.db" if request.param == "database" else None
    folder = tmp_path / "runs" / "first"
    (folder / "small").mkdir(parents=True)
    ledger = make_ledger(over=open_storage(study, folder / "small" / "study.journal"))
    for state in ("complete", "fail", None):
        asked = ledger.ask()
        assert asked is not None
        if state == "complete":
            ledger.complete(asked.number, [0.5], {"by_fold": {}})
        elif state == "fail":
            ledger.fail(asked.number, "broken")
    save_settings(SweepSettings(space=("small",), name="first", study=study), folder)
    spool = Spool(folder / "small" / SPOOL_FILE)
    tags, params = {"foldsweep.sweep": "first/small"}, {"name": "first"}
    for run, name in (("", "first/small"), ("0", "small-00000")):
        spool.append({"op": "start", "run": run, "name": name, "tags": tags, "params": params})
        spool.append({"op": "end", "run": run, "status": "FINISHED", "time": 1})
    spool.close()
    for file in (TARGET_FILE, CURSOR_FILE):
        (folder / "small" / file).write_text("{}")
    return Path(shutil.copytree(folder, tmp_path / "copies" / "first"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_goes_on_under_a_name_of_its_own(copy: Path, tmp_path: Path) -> None:
    original = tmp_path / "runs" / "first"
    before, recorded = contents(original), recorded_identity(original)
    args = ["--resume", "first", "--storage", "copies", "--name", "second", "--trials", "9"]
    stored, settings = read_settings(args)
    assert stored is not None
    assert (settings.name, settings.resume, settings.trials) == ("second", "second", 9)
    assert contents(original) == before
    assert not copy.exists()
    folder = copy.with_name("second")
    identity = check_place(folder)
    assert recorded is not None
    assert identity.uuid not in ("", recorded.uuid)
    assert (identity.folder, identity.project) == (folder, recorded.project)

    storage = open_storage(settings.study, folder / "small" / "study.journal")
    trials = [
        optuna.load_study(study_name=name, storage=storage).get_trials()
        for name in ("first/small", "second/small")
    ]
    ours, theirs = ([(t.number, t.state, t.params, t.values) for t in of] for of in trials)
    assert ours == theirs
    starts = [r for _, r in read_records(folder / "small" / SPOOL_FILE) if r["op"] == "start"]
    assert [r["name"] for r in starts] == ["second/small", "small-00000"]
    assert {r["tags"]["foldsweep.sweep"] for r in starts} == {"second/small"}
    assert starts[0]["params"]["name"] == "second"
    assert not (folder / "small" / TARGET_FILE).exists()
    assert not (folder / "small" / CURSOR_FILE).exists()
    assert read_settings(["--resume", "second", "--storage", "copies"])[0] == replace(
        stored, storage="copies"
    )


BOGUS = "Unrecognized options: --bogus"


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (("--name", "first"), "run.name-of-original", {"name": "first"}),
        (("--name", "../up"), "settings.name-invalid", {"name": "../up"}),
        (("--name", "there"), "adoption.name-taken", {"name": "there"}),
        (("--name", "second", "--bogus"), "programs.command-line-invalid", {"reason": BOGUS}),
        ((), "settings-file.copy", {"name": "first"}),
    ],
)
def test_a_copy_that_gets_no_good_name_stays_as_it_is(
    copy: Path, args: tuple[str, ...], kind: str, values: dict[str, object]
) -> None:
    copy.with_name("there").mkdir()
    before = contents(copy)
    with refused(kind, **values):
        read_settings(["--resume", "first", "--storage", "copies", *args])
    assert contents(copy) == before


def test_wrong_records_of_a_copy_are_left_to_who_sends_them(copy: Path) -> None:
    wrong = '{}\n{"op": "start", "run": "7"}\n'
    with (copy / "small" / SPOOL_FILE).open("a") as spool:
        spool.write(wrong)
    read_settings(["--resume", "first", "--storage", "copies", "--name", "second"])
    assert (copy.with_name("second") / "small" / SPOOL_FILE).read_text().endswith(wrong)

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sweeps import run
from sweeps.config_file import KNOWN, NOT_KEPT, config_words, save_config
from sweeps.run import read_settings
from sweeps.settings import SweepSettings
from sweeps.settings_file import save_settings
from tests.refusals import refused, text


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, *args: str) -> SweepSettings:
    Path("sweep.yaml").write_text(text)
    return read_settings(["--config", "sweep.yaml", *args])[1]


FILE = """
space: [mlp, mine.py]
trials: 12
time-budget: 1e3
sampler: random
data: a.csv
target: left at
drop: id
test: b.csv
limit: ["num_params <= 1000"]
select_on_test: true
gpus_per_trial: 0.5
name:
"""


def test_a_file_holds_what_the_command_line_would(here: Path) -> None:
    args = [
        *("--space", "mlp", "mine.py", "--trials", "12", "--time-budget", "1e3", "--sampler"),
        *("random", "--data", "a.csv", "--target", "left at", "--drop", "id", "--test", "b.csv"),
        *("--limit", "num_params <= 1000", "--select-on-test", "--gpus-per-trial", "0.5"),
    ]
    assert read(FILE) == read_settings(args)[1]
    assert read("") == read_settings([])[1]
    assert read("# nothing\n") == read_settings([])[1]


def test_what_the_command_line_says_wins() -> None:
    settings = read(FILE, "--trials", "3", "--space", "cnn", "--no-select-on-test", "--drop", "x")
    assert (settings.trials, settings.space, settings.drop) == (3, ("cnn",), ("x",))
    assert settings.select_on_test is False
    assert settings.sampler == "random"
    assert read("select_on_test: true", "--select-on-test").select_on_test
    assert read("select_on_test: false", "--select-on-test").select_on_test
    assert not read("select_on_test: false").select_on_test


def test_a_word_that_stands_alone_is_no_value_of_the_file(here: Path) -> None:
    read("space: [mlp]")
    with refused("programs.command-line-invalid", reason="Unrecognized options: cnn"):
        read_settings(["--config", "sweep.yaml", "cnn"])


def test_a_resumed_sweep_takes_settings_of_a_file_before_its_own(here: Path) -> None:
    folder = here / "runs" / "first"
    folder.mkdir(parents=True)
    stored = SweepSettings(space=("mlp",), name="first", trials=7, folds=3, select_on_test=True)
    save_settings(stored, folder)
    settings = read(
        "trials: 9\nselect_on_test: true", "--resume", "first", "--outage-patience", "5"
    )
    expected = replace(stored, resume="first", trials=9, outage_patience=5.0)
    assert replace(settings, tracking_uri=None) == expected


WRONG_TYPE = "config-file.wrong-type"
QUOTE = text("config-file.quote")
SAMPLERS = "tpe or gp or cmaes or qmc or random or nsga2 or grid"
READERS = text("config-file.seen-by-readers")
TOO_LONG = text("config-file.too-long", characters=100_000)


@pytest.mark.parametrize("wrong", KNOWN)
def test_an_unknown_key_names_the_nearest(wrong: str) -> None:
    key = f"{wrong}{wrong[-1]}"
    hint = text("checks.did-you-mean", word=wrong)
    with refused("config-file.setting-unknown", path="sweep.yaml", key=repr(key), hint=hint):
        read(f"{key}: 1")


def test_every_setting_may_be_in_a_file_but_not_what_to_do() -> None:
    assert {*KNOWN, *NOT_KEPT} == {field.name for field in fields(SweepSettings)}
    for name in NOT_KEPT:
        with refused("config-file.is-an-action", path="sweep.yaml", key=repr(name)):
            read(f"{name}: x")


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("trials: many", WRONG_TYPE, {"name": "trials", "type": "int", "value": "'many'"}),
        ("trials: [1, 2]", WRONG_TYPE, {"type": "int", "value": "[1, 2]"}),
        ("trials: 2.5", WRONG_TYPE, {"type": "int", "value": "2.5"}),
        ("trials: true", WRONG_TYPE, {"type": "int", "value": "True"}),
        ("name: 2024", WRONG_TYPE, {"name": "name", "hint": QUOTE}),
        ("sampler: tpee", WRONG_TYPE, {"type": SAMPLERS, "value": "'tpee'"}),
        ("space: {lr: 1}", "config-file.ranges-of-a-space", {"where": "sweep.yaml: "}),
        ("space: [mlp, {lr: 1}]", WRONG_TYPE, {"where": "sweep.yaml: ", "name": "space"}),
        ("select_on_test: maybe", WRONG_TYPE, {"type": "bool", "value": "'maybe'", "hint": ""}),
        ("trials: 1\ntrials: 2", "config-file.set-twice", {"path": "sweep.yaml", "key": "trials"}),
        ("time-budget: 1\ntime_budget: 2", "config-file.set-twice", {"key": "time_budget"}),
        ("- trials", "config-file.no-settings", {"path": "sweep.yaml"}),
        ("trials: [", "config-file.not-yaml", {"path": "sweep.yaml"}),
        ("name: !!python/object/apply:os.system [touch x]", "config-file.not-yaml", {}),
        ("a: &a [*a]", "config-file.setting-unknown", {"key": "'a'"}),
        ("? [1]\n: 2", "config-file.not-yaml", {}),
        ("name: ''", "checks.option-empty", {"option": "--name"}),
        ("name: a b", "settings.name-invalid", {"option": "sweep name", "name": "a b"}),
        (
            "folds: 1",
            "programs.option-out-of-range",
            {"option": "folds", "rule": text("rules.at-least", least=2)},
        ),
        ("time_budget: .nan", "settings.option-out-of-range", {"option": "--time-budget"}),
        ("study: postgresql://me:secret@host/db", "passwords.in-url", {"seen": READERS}),
        (
            "tracking_uri: https://me:secret@host",
            "passwords.in-url",
            {"option": "sweep.yaml: --tracking-uri"},
        ),
        ("[" * 3000, "config-file.not-yaml", {}),
        ("trials: " + "9" * 200_000, "config-file.not-yaml", {"why": TOO_LONG}),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    text: str, kind: str, values: dict[str, object], here: Path
) -> None:
    with refused(kind, **values) as caught:
        read(text, "--space", "mlp").validate()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert not (here / "x").exists()


def test_a_file_that_is_not_there_is_said(here: Path) -> None:
    for name, why in (("gone.yaml", "No such file or directory"), (".", "Is a directory")):
        with refused("config-file.cannot-be-read", path=name, why=why):
            read_settings(["--config", name])
    (here / "bad.yaml").write_bytes(b"name: \xff")
    with refused("config-file.not-yaml", path="bad.yaml"):
        read_settings(["--config", "bad.yaml"])


# Saving -----------------------------------------------------------------------------------------


def test_only_what_is_no_default_is_saved() -> None:
    save_config(Path("a.yaml"), SweepSettings(space=("mlp",), trials=5, test=Path("b.csv")))
    text = Path("a.yaml").read_text()
    assert text.startswith("# settings of a foldsweep sweep: foldsweep run --config FILE\n")
    assert yaml.safe_load(text) == {"space": ["mlp"], "trials": 5, "test": "b.csv"}
    save_config(Path("b.yaml"), SweepSettings())
    assert config_words(Path("b.yaml")) == []


def test_no_password_is_saved() -> None:
    secret = SweepSettings(
        name="x",
        study="postgresql://me:secret@host/db",
        tracking_uri="https://me:secret@host",
        resume="x",
        trust=True,
    )
    save_config(Path("a.yaml"), secret)
    assert yaml.safe_load(Path("a.yaml").read_text()) == {"name": "x"}


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda word: word.strip() == word and not word.startswith("-")
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "space": st.lists(WORD, max_size=3).map(tuple),
    "objective": st.lists(WORD, max_size=3).map(tuple),
    "target": st.none() | WORD,
    "name": st.none() | WORD,
    "test": st.none() | st.just(Path("a b.csv")),
    "trials": st.none() | st.integers(-9, 2**63),
    "time_budget": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "holdout": st.floats(0, 0.99),
    "sampler": st.sampled_from(["tpe", "grid", "random"]),
    "select_on_test": st.booleans(),
    "outage_patience": st.floats(0, 1e6),
}


@given(st.fixed_dictionaries(VALUES))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_saved_is_read_again(values: dict[str, Any]) -> None:
    settings = SweepSettings(**values)
    save_config(Path("a.yaml"), settings)
    assert run._parse(run._with_config(["--config", "a.yaml"])).settings == settings


def test_a_sweep_saves_what_it_was_given_and_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(run, "apart", lambda *what: started.append(what) or 0)
    Path("in.yaml").write_text("trials: 9\nfolds: 4\n")
    args = ["--config", "in.yaml", "--space", "mine.py", "--folds", "3", "--save-config", "a.yaml"]
    monkeypatch.setattr(sys, "argv", ["foldsweep run", *args])
    assert run.main() == 0
    assert len(started) == 1
    kept = yaml.safe_load(Path("a.yaml").read_text())
    assert kept == {"space": ["mine.py"], "trials": 9, "folds": 3}
    Path("a.yaml").unlink()
    monkeypatch.setattr(sys, "argv", ["foldsweep run", *args, "--trials", "0"])
    with refused("programs.option-out-of-range", option="trials", value="0"):
        run.main()
    assert not Path("a.yaml").exists()

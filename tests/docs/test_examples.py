"""Examples of the documentation: complete files, loaded, checked and trained as in a sweep."""

import ast
import math
import re
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest

from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps.preflight import check_model, check_targets
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from trainables.models.estimators.config import EstimatorConfig
from trainables.tasks.options import TableOptions
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest, Task
from trainables.trial import Context, CrossValidation

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
TABLE = ROOT / "docs" / "examples" / "table_classification.py"
OUR_PACKAGES = {"trainables", "search_spaces", "sweeps", "analysis"}
SHIPPED = {"own_variant.py": {"trainables.tasks.larger_digit"}}
"""Imports of an example besides `foldsweep`; they show how to use a shipped task."""
FEWER = 60
"""Upper limit for the lines of an example, which has fewer."""


def name_of(path: Path) -> str:
    return path.stem


def swept(file: str, own: Task | None = None) -> tuple[SearchSpace, Data, CrossValidation]:
    """Space and data of a file, checked as before a sweep, and its first trial, untrained."""
    space = load_space(file, own)
    task = space.variant.task
    few = (
        {} if task.options is None else {"dataset": "digits", "train_pairs": 60, "test_pairs": 30}
    )
    settings = SweepSettings(space=(file,), folds=3, **few).for_task(task)
    data = task.load(DataRequest(seed=0, options=settings.options_of(task)))
    folds = make_folds(task, data, settings)
    check_targets(task, data)
    check_model(space, data, folds, settings)
    if space.points:
        values = dict(space.points[0].config)
    else:
        values = {key: of.sample(random_state=0) for key, of in space.searched.items()}
    short = {} if issubclass(space.variant.config, EstimatorConfig) else {"epochs": 1}
    context = Context(data=data, folds=folds, seed=0)
    trial = CrossValidation(space.variant, space.complete(values, **short), context, 0)
    return space, data, trial


def require_scores(space: SearchSpace, trial: CrossValidation) -> None:
    trial.advance(trial.config.epochs)
    assert trial.finished
    assert not trial.diverged
    scores = trial.by_fold[f"val_{space.variant.task.objective}"]
    assert len(scores) == 3
    assert all(map(math.isfinite, scores))


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_is_checked_and_trained(path: Path) -> None:
    if path.name == "boosting.py":
        pytest.importorskip("lightgbm")
    space, data, trial = swept(str(path))
    assert data.test is not None
    require_scores(space, trial)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < FEWER
    assert f"python sweeps/run.py --space docs/examples/{path.name}" in text


def imported_by(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_imports_from_foldsweep_only(path: Path) -> None:
    imported = imported_by(path)
    ours = {name for name in imported if name.partition(".")[0] in OUR_PACKAGES}
    assert ours == SHIPPED.get(path.name, set())
    assert any(name.partition(".")[0] == "foldsweep" for name in imported)


def test_examples_are_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert EXAMPLES
    assert [p.name for p in EXAMPLES if f"(docs/examples/{p.name})" not in text] == []


# The README's own CSV and network file ---------------------------------------------------------


@pytest.fixture
def churn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with the README's churn.csv."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(TABLE), run_name="__main__")
    return tmp_path


def test_table_example_writes_its_table(churn: Path) -> None:
    table = pd.read_csv(churn / "churn.csv")
    assert list(table.columns) == ["customer", "plan", "age", "calls", "left"]
    assert len(table) == 1000


def churn_task() -> Task:
    """Task of `--data churn.csv --target left` in the working folder."""
    options = TableOptions(data="churn.csv", target="left")
    return table_task(options, seed=0, objective=None)


def test_the_docs_show_what_is_inferred_of_a_table(churn: Path) -> None:
    data = churn_task().data
    assert isinstance(data, Data)
    assert f"\n{data.said}\n" in (ROOT / "docs" / "data.md").read_text()


def test_readme_file_is_checked_and_trained(churn: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n(# net\.py\n.*?)```", text, re.DOTALL)
    (churn / "net.py").write_text(block)
    space, data, trial = swept("net.py", churn_task())
    assert len(data.train) + len(data.test_rows) == 1000
    assert load_space("mlp", churn_task()).most_epochs() == space.most_epochs()
    require_scores(space, trial)


@pytest.mark.parametrize("data", ["breast_cancer", "diabetes"])
def test_readme_file_works_with_any_table(data: str, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n(# net\.py\n.*?)```", text, re.DOTALL)
    (tmp_path / "net.py").write_text(block)
    task = table_task(TableOptions(data=data), seed=0, objective=None)
    require_scores(*swept(str(tmp_path / "net.py"), task)[::2])


def test_network_of_a_table_of_numbers_is_checked_and_trained(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "variant.md").read_text()
    (block,) = re.findall(r"```python\n(# small_net\.py\n.*?)```", text, re.DOTALL)
    (tmp_path / "own.py").write_text(block)
    task = table_task(TableOptions(data="breast_cancer"), seed=0, objective=None)
    require_scores(*swept(str(tmp_path / "own.py"), task)[::2])


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(180)
def test_readme_begins_with_code_that_writes_its_picture(
    churn: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_mlflow, churn / "mlflow.db")
    text = (ROOT / "README.md").read_text()
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    small = block.replace("data=", "trials=1, folds=3, workers=0, data=")
    assert small != block
    exec(compile(small, "README.md", "exec"), {})
    page = Path("churn.html").read_text()
    assert all(space in page for space in ("mlp", "hist_gradient_boosting", "logistic"))

"""Data of a recipe: only files with its digests, either beside the recipe or named."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import foldsweep as fs
from foldsweep.recipe import Recipe
from tests.refusals import refused
from trainables.tasks.options import TableOptions
from trainables.tasks.reload import data_of
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest, Task

TRAIN = pd.DataFrame({"size": [i * i / 8 for i in range(40)], "left": [0, 1] * 20})
TEST = pd.DataFrame({"size": [i + 0.5 for i in range(10)], "left": [1, 0] * 5})


@pytest.fixture
def swept(tmp_path: Path) -> tuple[Task, Data, Path]:
    """Task of two files, its data, and an empty folder for the recipe."""
    away = tmp_path / "away"
    away.mkdir()
    TRAIN.to_csv(away / "train.csv", index=False)
    TEST.to_csv(away / "test.csv", index=False)
    options = TableOptions(data=str(away / "train.csv"), target="left", test=away / "test.csv")
    task = table_task(options, seed=0, objective=None)
    beside = tmp_path / "beside"
    beside.mkdir()
    return task, task.load(DataRequest(seed=0)), beside


def again(swept: tuple[Task, Data, Path], path: Path | None = None, **origin: Any) -> Data:
    task, data, beside = swept
    recipe = Recipe(
        space="logistic",
        variant=f"{task.name}/logistic",
        task=task.name,
        config={},
        score={},
        fold_scores={},
        num_params=0,
        dataset=data.name,
        data_digest=data.digest,
        origin={**data.origin, **origin},
        record={},
        folds=5,
        seed=0,
        trial=0,
    )
    return data_of(recipe, task, path=path, beside=beside)


def test_both_files_beside_the_recipe_are_taken(swept: tuple[Task, Data, Path]) -> None:
    _, data, beside = swept
    TRAIN.to_csv(beside / "train.csv", index=False)
    with refused("reload.test-file-missing", file="test.csv"):
        again(swept)
    TEST.to_csv(beside / "test.csv", index=False)
    found = again(swept)
    assert found.digest == data.digest
    assert found.test is not None
    assert found.test.inputs["numeric"][:, 0].tolist() == TEST["size"].tolist()


def test_data_that_the_file_of_a_space_has_made_again_is_taken(
    swept: tuple[Task, Data, Path],
) -> None:
    _, _, beside = swept
    made, other = (fs.table(TRAIN[["size"]] + shift, TRAIN["left"]) for shift in (0, 1))
    assert isinstance(made.data, Data)
    assert isinstance(other.data, Data)
    assert again((made, made.data, beside)) is made.data
    with refused("reload.other-data", digest=made.data.digest, wanted=other.data.digest):
        again((made, other.data, beside))


def test_a_test_file_of_other_content_is_refused(swept: tuple[Task, Data, Path]) -> None:
    _, _, beside = swept
    TRAIN.to_csv(beside / "train.csv", index=False)
    TEST.assign(left=1).to_csv(beside / "test.csv", index=False)
    with refused("tables.file-differs", file=beside / "test.csv"):
        again(swept)


@pytest.mark.parametrize("which", ["data", "test"])
def test_a_path_in_the_recipe_leads_nowhere(which: str, swept: tuple[Task, Data, Path]) -> None:
    """A path in the recipe is refused even if it leads to the right file."""
    _, _, beside = swept
    TRAIN.to_csv(beside / "train.csv", index=False)
    TEST.to_csv(beside / "test.csv", index=False)
    outside = beside.parent / f"secret-{which}.csv"
    (TRAIN if which == "data" else TEST).to_csv(outside, index=False)
    for path in (f"../{outside.name}", str(outside)):
        with refused(f"reload.{which}-file-missing", file=outside.name):
            again(swept, **{which: path})


def test_a_file_that_is_named_is_proven_too(swept: tuple[Task, Data, Path]) -> None:
    _, data, beside = swept
    TEST.to_csv(beside / "test.csv", index=False)
    named = beside.parent / "renamed.csv"
    TRAIN.to_csv(named, index=False)
    assert again(swept, named).digest == data.digest
    TRAIN[::-1].to_csv(named, index=False)
    with refused("tables.file-differs", file=named):
        again(swept, named)

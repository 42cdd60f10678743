from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from search_spaces.space import SearchSpace
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.spool import SPOOL_FILE
from sweeps.sweep import sweep_space
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.errors import UserError


@pytest.mark.parametrize("times", [1, 2])
def test_a_sweep_whose_study_is_gone_does_not_start_over(
    make_space: Callable[..., SearchSpace], tmp_path: Path, times: int
) -> None:
    """Its runs in MLflow would be those of other trials; neither Ray nor a tracker starts."""
    folder = tmp_path / "first" / "small"
    folder.mkdir(parents=True)
    (folder / SPOOL_FILE).write_text("")
    for _ in range(times):
        with pytest.raises(UserError, match=r"sweep first cannot go on: its study is gone") as no:
            sweep_space(
                SweepSettings(space=("small",), folds=3, storage=str(tmp_path), resume="first"),
                make_space(),
                draw_pairs(digits_source(), seed=0, train_pairs=20, test_pairs=5),
                name="first",
                folder=folder,
                checkpoint_root=str(tmp_path / "first"),
                tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
                allotment=Allotment(cpus=1, gpus=0, concurrency=1),
                console=Console(),
            )
        assert str(tmp_path / "first") in str(no.value)
    assert (folder / SPOOL_FILE).read_text() == ""
    assert not (tmp_path / "mlflow.db").exists()

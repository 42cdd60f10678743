import os
import pathlib

import pytest
import torch

from trainables import checkpoints
from trainables.checkpoints import delete_checkpoint, load_checkpoint, save_checkpoint

STATE = {
    "epoch": 3,
    "params": {"w": torch.arange(6.0).view(2, 3)},
    "config": {"channels": (4, 8), "lr": 1e-3, "aux_alpha": None, "lr_schedule": "cosine"},
    "history": [{"epoch": 1, "val_loss": float("inf")}],
}


@pytest.fixture(params=["path", "uri"])
def folder(request, tmp_path):
    """Folder that does not exist yet, as a path and as a URI."""
    below = tmp_path / "some sweep" if request.param == "path" else tmp_path / "sweep"
    return str(below) if request.param == "path" else below.as_uri()


def test_a_checkpoint_comes_back_as_it_was_saved(folder):
    save_checkpoint(folder, 12, STATE)
    loaded = load_checkpoint(folder, 12)
    assert torch.equal(loaded["params"].pop("w"), STATE["params"]["w"])
    assert {**loaded, "params": STATE["params"]} == STATE


def test_trials_do_not_share_a_checkpoint(folder):
    save_checkpoint(folder, 1, {"epoch": 1})
    save_checkpoint(folder, 2, {"epoch": 2})
    save_checkpoint(folder, 1, {"epoch": 3})
    assert [load_checkpoint(folder, i) for i in (1, 2, 3)] == [{"epoch": 3}, {"epoch": 2}, None]


def test_a_deleted_checkpoint_is_gone_and_may_be_deleted_again(folder):
    save_checkpoint(folder, 1, {"epoch": 1})
    delete_checkpoint(folder, 1)
    delete_checkpoint(folder, 1)
    assert load_checkpoint(folder, 1) is None


def test_nothing_in_a_checkpoint_is_executed(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    save_checkpoint(folder, 1, {"trap": Trap()})
    assert load_checkpoint(folder, 1) is None
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_damaged_checkpoint_is_none_and_says_so(kept, folder, tmp_path, caplog):
    save_checkpoint(folder, 1, STATE)
    (path,) = tmp_path.rglob("trial_00001.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    assert load_checkpoint(folder, 1) is None
    (warning,) = caplog.messages
    assert "trial_00001.pt cannot be read, the trial starts again: " in warning
    save_checkpoint(folder, 1, {"epoch": 2})
    assert load_checkpoint(folder, 1) == {"epoch": 2}


@pytest.mark.parametrize("junk", [b"\0" * 4096, b"\xff" * 4096, b"not a checkpoint"])
def test_a_checkpoint_of_anything_else_is_none(junk, folder, tmp_path):
    save_checkpoint(folder, 1, STATE)
    (path,) = tmp_path.rglob("trial_00001.pt")
    path.write_bytes(junk)
    assert load_checkpoint(folder, 1) is None


@pytest.mark.parametrize("moment", ["open_output_stream", "move"])
def test_a_save_that_breaks_off_leaves_the_old_checkpoint(moment, tmp_path, monkeypatch):
    save_checkpoint(str(tmp_path), 1, {"epoch": 1})

    class Breaking(checkpoints.pafs.LocalFileSystem):
        pass

    def break_off(self, path, *args):
        if moment == "open_output_stream":
            pathlib.Path(path).write_bytes(b"half")
        raise OSError("disk full")

    setattr(Breaking, moment, break_off)
    monkeypatch.setattr(checkpoints.pafs, "LocalFileSystem", Breaking)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(str(tmp_path), 1, {"epoch": 2})
    monkeypatch.undo()
    assert load_checkpoint(str(tmp_path), 1) == {"epoch": 1}
    save_checkpoint(str(tmp_path), 1, {"epoch": 2})
    assert load_checkpoint(str(tmp_path), 1) == {"epoch": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["trial_00001.pt"]

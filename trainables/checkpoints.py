"""Checkpoints of running trials in a folder or any object store that pyarrow knows."""

import io
import logging
import pickle
from typing import Any

import pyarrow.fs as pafs
import torch

_log = logging.getLogger(__name__)


def _locate(folder: str, trial_number: int) -> tuple[pafs.FileSystem, str]:
    if "://" in folder:
        filesystem, path = pafs.FileSystem.from_uri(folder)
    else:
        filesystem, path = pafs.LocalFileSystem(), folder
    return filesystem, f"{path}/trial_{trial_number:05d}.pt"


def save_checkpoint(folder: str, trial_number: int, state: dict[str, Any]) -> None:
    """Replace the trial's checkpoint at once: a reader sees the old one or the new one.

    Args:
        folder: A local path or a URI such as `s3://bucket/sweep`.
        trial_number: Number of the trial in its study.
        state: Tensors, numbers, strings and containers of these.
    """
    filesystem, path = _locate(folder, trial_number)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with filesystem.open_output_stream(f"{path}.part") as stream:
        stream.write(buffer.getbuffer())
    filesystem.move(f"{path}.part", path)


def load_checkpoint(folder: str, trial_number: int) -> dict[str, Any] | None:
    """The trial's last checkpoint, or None where there is none that can be read.

    A machine that loses power may leave a damaged one, and the trial then starts again. Nothing in
    a checkpoint is executed (`weights_only`).
    """
    filesystem, path = _locate(folder, trial_number)
    if filesystem.get_file_info(path).type != pafs.FileType.File:
        return None
    with filesystem.open_input_file(path) as stream:
        buffer = io.BytesIO(stream.read())
    try:
        state: dict[str, Any] = torch.load(buffer, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        _log.warning("checkpoint %s cannot be read, the trial starts again: %s", path, error)
        return None
    return state


def delete_checkpoint(folder: str, trial_number: int) -> None:
    """Remove the trial's checkpoint where there is one."""
    filesystem, path = _locate(folder, trial_number)
    if filesystem.get_file_info(path).type == pafs.FileType.File:
        filesystem.delete_file(path)

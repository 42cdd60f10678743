"""Checkpoints of running trials in a folder or any object store that pyarrow knows."""

import io
import logging
import pickle
import re
from typing import Any

import pyarrow.fs as pafs
import torch

from trainables.stores import located, replace_file

_log = logging.getLogger(__name__)


def _locate(folder: str, trial_number: int) -> tuple[pafs.FileSystem, str]:
    filesystem, path = located(folder)
    return filesystem, f"{path}/trial_{trial_number:05d}.pt"


def save_checkpoint(folder: str, trial_number: int, state: dict[str, Any]) -> int:
    """Replace the trial's checkpoint atomically: a reader sees the old one or the new one.

    Args:
        folder: A local path or a URI such as `s3://bucket/sweep`.
        trial_number: Number of the trial in its study.
        state: Tensors, numbers, strings and containers of these.

    Returns:
        Size of the checkpoint in bytes.

    Raises:
        OSError: If the store does not accept the checkpoint.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(*_locate(folder, trial_number), buffer.getbuffer())
    return buffer.tell()


def load_checkpoint(folder: str, trial_number: int) -> dict[str, Any] | None:
    """The trial's last checkpoint; None if there is none or it cannot be read.

    A power failure may leave a damaged checkpoint, and the trial then starts again. Nothing in a
    checkpoint is executed (`weights_only`).

    Raises:
        OSError: If the store cannot be reached.
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


def checkpoint_sizes(folder: str) -> dict[int, int]:
    """Size of each trial's checkpoint in bytes, by the trial's number.

    Raises:
        OSError: If the store cannot be reached.
    """
    filesystem, path = located(folder)
    files = filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True))
    found = ((re.fullmatch(r"trial_(\d{5,})\.pt", file.base_name), file.size) for file in files)
    return {int(match[1]): size for match, size in found if match}


def delete_checkpoint(folder: str, trial_number: int) -> None:
    """Remove the trial's checkpoint if there is one.

    Raises:
        OSError: If the store cannot be reached.
    """
    filesystem, path = _locate(folder, trial_number)
    if filesystem.get_file_info(path).type == pafs.FileType.File:
        filesystem.delete_file(path)

"""Turns a copy of a sweep's folder into an independent sweep with a new name."""

import json
from dataclasses import replace
from pathlib import Path

import optuna

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.names import TAG_SWEEP
from sweeps.identity import Identity
from sweeps.settings import SweepSettings
from sweeps.settings_file import recorded_identity, save_settings
from sweeps.study import JOURNAL_FILE, open_storage
from sweeps.tracking.spool import CURSOR_FILE, SPOOL_FILE, TARGET_FILE, read_records
from sweeps.tracking.validation import is_texts


def adopt(folder: Path, stored: SweepSettings, name: str) -> None:
    """Give a copied sweep a new name, a new UUID, and studies and records under that name.

    The original sweep stays unchanged, and so does its study if both use the same database.

    Args:
        folder: Folder of the copy.
        stored: Settings of the copy.
        name: New name of the sweep and of its folder.

    Raises:
        UserError: If the name is taken, or a study is missing.
    """
    to, recorded = folder.with_name(name), recorded_identity(folder)
    project = Path.cwd() if recorded is None else recorded.at(folder).project
    if to != folder and to.exists():
        raise UserError.of("adoption.name-taken", name=name)
    for spool in sorted(folder.glob(f"*/{SPOOL_FILE}")):
        space = spool.parent.name
        _copy_study(stored, spool.parent, f"{stored.name}/{space}", f"{name}/{space}")
        _rename_records(spool, f"{stored.name}/{space}", f"{name}/{space}", name)
        for file in (TARGET_FILE, CURSOR_FILE):  # the new sweep has sent no records
            (spool.parent / file).unlink(missing_ok=True)
    folder.rename(to)
    save_settings(
        replace(stored, name=name, resume=None), to, replace(Identity.new(to), project=project)
    )


def _copy_study(stored: SweepSettings, folder: Path, old: str, new: str) -> None:
    storage = open_storage(stored.study, folder / JOURNAL_FILE)
    known = optuna.get_all_study_names(storage)
    if new in known:  # of an interrupted adoption, or of another sweep
        if stored.study is not None:
            raise UserError.of("adoption.study-taken", study=new)
        optuna.delete_study(study_name=new, storage=storage)
    if old not in known:
        raise UserError.of("adoption.study-missing", folder=folder, study=old)
    optuna.copy_study(
        from_study_name=old, from_storage=storage, to_storage=storage, to_study_name=new
    )


def _rename_records(spool: Path, old: str, new: str, name: str) -> None:
    """Rename the runs in the start records of a spool; an incomplete last line is dropped."""
    lines = []
    for _, record in read_records(spool):
        are_texts = is_texts(record.get("tags")) and is_texts(record.get("params"))
        if record.get("op") == "start" and are_texts:
            if record.get("name") == old:
                record["name"] = new
            if record["tags"].get(TAG_SWEEP) == old:
                record["tags"][TAG_SWEEP] = new
            if "name" in record["params"] and not record.get("run"):
                record["params"]["name"] = name
        lines.append(json.dumps(record) + "\n")
    write_whole(spool, "".join(lines))

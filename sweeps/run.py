"""Sweep search spaces: `python sweeps/run.py --space cnn_ws_aux`, `--help` for all options.

This program reads the command line; `sweeps.driver` runs the sweep in a separate process.
"""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import argparse
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

from foldsweep.checks import refuse_empty
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text
from foldsweep.tracking import absolute_uri, tracking_uri
from sweeps.config_file import config_words, save_config
from sweeps.passwords import masked_url, refuse_password
from sweeps.settings import OWN_DATA, SHIPPED_DATA, SweepSettings, check_name
from sweeps.settings_file import SETTINGS_FILE, check_place, is_copy, load_settings
from sweeps.spaces import listed
from sweeps.supervisor import apart


@dataclass(frozen=True, kw_only=True)
class RunOptions(SweepSettings):
    """Search for the best configuration of one or more search spaces.

    Every trial trains all cross-validation folds of one configuration in lockstep. The mean over
    folds is its score, and decides on early stopping. All results are logged to MLflow; --resume
    continues an interrupted sweep.
    """

    config: Path | None = None
    """YAML file of settings, named like these options; options of the command line override it."""
    save_config: Path | None = None
    """Write the settings to a file for --config, then start."""
    ui: bool = False
    """Serve the MLflow UI while the sweep runs."""
    dry_run: bool = False
    """Show what a sweep would do, its estimated time and where it would write; write nothing."""

    GROUPS = {  # option groups of the help
        "search": (
            *("space", "trials", "patience", "time_budget", "epochs", "folds", "sampler"),
            *("scheduler", "order", "lag", "warm_start"),
            *("objective", "limit", "precision", "seed", "select_on_test"),
        ),
        "data": (*OWN_DATA, *SHIPPED_DATA),
        "resources": (
            *("concurrency", "cpus_per_trial", "gpus_per_trial", "address", "mode"),
            *("max_failures", "trial_timeout", "checkpoint_every_s", "outage_patience"),
        ),
        "storage": ("name", "resume", "storage", "study", "trust"),
        "tracking": ("experiment", "tracking_uri", "ui"),
    }

    @classmethod
    def of(cls, settings: SweepSettings) -> Self:
        """Options with the given settings."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(settings)})

    @property
    def settings(self) -> SweepSettings:
        """The settings of the sweep, without the options of this program."""
        names = [field.name for field in fields(SweepSettings)]
        return SweepSettings(**{name: getattr(self, name) for name in names})


def main() -> int:
    """Run the sweeps of the command line; return the exit code."""
    args = sys.argv[1:]
    stored, settings = read_settings(args)
    if settings.list_spaces:
        for line in listed():
            console.print(line)
        return 0
    settings.validate()
    given = _parse(_with_config(args), stored)
    if given.dry_run and given.save_config is not None:
        raise UserError.of("run.dry-run-saves-config")
    if given.dry_run:
        return apart("sweeps.rehearsal.rehearse", settings, stored)
    if given.save_config is not None:
        save_config(given.save_config, given.settings)
    return apart("sweeps.driver.sweep", settings, stored, given.ui)


def read_settings(args: list[str]) -> tuple[SweepSettings | None, SweepSettings]:
    """Read settings from the command line; the settings of a resumed sweep are the defaults.

    Args:
        args: The command line.

    Returns:
        Settings that the resumed sweep had, None for a new one; and the settings to use.

    Raises:
        UserError: If the command line is invalid, or the sweep to resume does not exist.
    """
    refuse_empty(args)
    args = _with_config(args)
    finder = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    finder.add_argument("--resume")
    finder.add_argument("--name")
    finder.add_argument("--storage")
    finder.add_argument("--study")
    finder.add_argument("--tracking-uri")
    finder.add_argument("--trust", action="store_true")
    finder.add_argument("--dry-run", action="store_true")
    found = _found(finder, args)
    for option in ("study", "tracking_uri", "storage"):
        refuse_password(f"--{option.replace('_', '-')}", getattr(found, option) or "")
    if found.resume is None:
        return None, _absolute(_parse(args).settings)
    check_name(found.resume)
    storage = found.storage or SweepSettings.storage
    root = replace(SweepSettings(), storage=storage).local_root
    is_here = (root / found.resume / SETTINGS_FILE).exists()
    new_here = found.study is not None and not is_here and not found.dry_run
    if new_here:
        _bring(root / found.resume, found.study, found)
    stored = load_settings(root / found.resume)
    if found.name is not None and is_copy(root / found.resume):
        if found.dry_run:
            raise UserError.of("run.dry-run-renames-copy")
        check_name(found.name)
        return _adopt(args, root / found.resume, stored, found.name)
    check_place(root / found.resume)
    if stored.name not in (None, found.resume):
        folder = root / found.resume
        raise UserError.of("run.folder-renamed", folder=folder, sweep=stored.name)
    study = absolute_uri(found.study or stored.study or "")
    same = study and masked_url(study) == masked_url(stored.study or "")
    if same and not new_here and not found.dry_run:
        _bring(root / found.resume, study, found)  # it may have been run elsewhere since
        stored = load_settings(root / found.resume)
    if "://" not in stored.storage:  # where it was found: it may have been moved
        stored = replace(stored, storage=storage)
    settings = replace(_parse(args, stored).settings, trust=False)
    if settings.name != stored.name:
        raise UserError.of(
            "run.name-contradicts-resume", name=settings.name, resume=settings.resume
        )
    if settings.dataset == "auto" and settings.data is None:
        settings = replace(settings, dataset=stored.dataset)
    return stored, _absolute(settings)


def _found(finder: argparse.ArgumentParser, args: list[str]) -> argparse.Namespace:
    try:
        return finder.parse_known_args(args)[0]
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None


def _with_config(args: list[str]) -> list[str]:
    """The command line, preceded by the options from its `--config` file."""
    finder = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path)
    path: Path | None = _found(finder, args).config
    # --config again, so that no argument after it counts as a value of the file's last option
    return args if path is None else [*config_words(path), f"--config={path}", *args]


def _parse(args: list[str], stored: SweepSettings | None = None) -> RunOptions:
    default = None if stored is None else RunOptions.of(stored)
    return parse(RunOptions, args, default=default, prog="sweeps/run.py")


def _bring(folder: Path, study: str, found: argparse.Namespace) -> None:
    from sweeps.database import bring  # Optuna must not delay Ray's start

    bring(folder, study=study, storage=found.storage, trust=found.trust)


def _adopt(
    args: list[str], folder: Path, stored: SweepSettings, name: str
) -> tuple[SweepSettings, SweepSettings]:
    """Give a copy of a sweep its own name; return its settings, to resume it by that name."""
    _parse(args, stored)  # checks the options before any change
    if name == stored.name:
        raise UserError.of("run.name-of-original", name=name)
    from sweeps.adoption import adopt  # Optuna must not delay Ray's start

    adopt(folder, stored, name)
    console.print(text("run.adopted", folder=folder, original=stored.name, name=name))
    rest = [*args, "--resume", name]
    again, settings = read_settings(rest)
    assert again is not None
    return again, settings


def _absolute(settings: SweepSettings) -> SweepSettings:
    """The settings with absolute paths, valid if the sweep is resumed in another folder."""
    data = settings.data
    if data is not None:
        from trainables.tasks.table.embedded import EMBEDDED  # numpy must not delay Ray's start

        data = data if data in EMBEDDED else str(Path(data).resolve())
    return replace(
        settings,
        data=data,
        test=settings.test and settings.test.resolve(),
        space=tuple(str(Path(s).resolve()) if s.endswith(".py") else s for s in settings.space),
        study=settings.study and absolute_uri(settings.study),
        tracking_uri=tracking_uri(settings.tracking_uri),
    )


if __name__ == "__main__":
    run_program(main)

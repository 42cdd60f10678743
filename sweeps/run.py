"""Sweep search spaces: `python sweeps/run.py --space cnn_ws_aux`, `--help` for the rest.

Reads the command line; `sweeps.driver` does the rest, in a process of its own.
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

    Every trial trains all cross-validation folds of one configuration in lockstep and is judged,
    and stopped early, by their mean. Everything lands in MLflow; a sweep that was interrupted goes
    on with --resume.
    """

    config: Path | None = None
    """YAML file of settings, by the names of these options; what is given here wins."""
    save_config: Path | None = None
    """Write the settings to a file for --config, then start."""
    ui: bool = False
    """Serve MLflow's pages beside the sweep, and end them with it."""
    dry_run: bool = False
    """Show what would happen, how long it may take and where all would lie; write nothing."""

    GROUPS = {  # of the help
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
        """Options whose settings are these."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(settings)})

    @property
    def settings(self) -> SweepSettings:
        """What a sweep keeps of them."""
        names = [field.name for field in fields(SweepSettings)]
        return SweepSettings(**{name: getattr(self, name) for name in names})


def main() -> int:
    """Run the sweeps that the command line asks for; returns the exit code."""
    args = sys.argv[1:]
    stored, settings = read_settings(args)
    if settings.list_spaces:
        for line in listed():
            console.print(line)
        return 0
    settings.validate()
    given = _parse(_with_config(args), stored)
    if given.dry_run and given.save_config is not None:
        raise UserError("--dry-run writes nothing: leave out --save-config")
    if given.dry_run:
        return apart("sweeps.rehearsal.rehearse", settings, stored)
    if given.save_config is not None:
        save_config(given.save_config, given.settings)
    return apart("sweeps.driver.sweep", settings, stored, given.ui)


def read_settings(args: list[str]) -> tuple[SweepSettings | None, SweepSettings]:
    """The settings, those of a resumed sweep being the defaults, and what that sweep had.

    Args:
        args: The command line.

    Raises:
        UserError: If it is none, or there is no such sweep.
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
            raise UserError("--dry-run gives no copy another name: run it first, or resume it")
        check_name(found.name)
        return _adopt(args, root / found.resume, stored, found.name)
    check_place(root / found.resume)
    if stored.name not in (None, found.resume):
        raise UserError(
            f"{root / found.resume} holds the sweep {stored.name}: give the folder its name back"
            f" and use --resume {stored.name}"
        )
    study = absolute_uri(found.study or stored.study or "")
    same = study and masked_url(study) == masked_url(stored.study or "")
    if same and not new_here and not found.dry_run:
        _bring(root / found.resume, study, found)  # it may have been run elsewhere since
        stored = load_settings(root / found.resume)
    if "://" not in stored.storage:  # where it was found, which may not be where it was made
        stored = replace(stored, storage=storage)
    settings = replace(_parse(args, stored).settings, trust=False)
    if settings.name != stored.name:
        raise UserError(f"--name {settings.name} and --resume {settings.resume} contradict")
    if settings.dataset == "auto" and settings.data is None:
        settings = replace(settings, dataset=stored.dataset)
    return stored, _absolute(settings)


def _found(finder: argparse.ArgumentParser, args: list[str]) -> argparse.Namespace:
    try:
        return finder.parse_known_args(args)[0]
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None


def _with_config(args: list[str]) -> list[str]:
    """The command line behind that which its file of settings stands for."""
    finder = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path)
    path: Path | None = _found(finder, args).config
    # --config again, since what follows must not count as a value of the file's last option
    return args if path is None else [*config_words(path), f"--config={path}", *args]


def _parse(args: list[str], stored: SweepSettings | None = None) -> RunOptions:
    default = None if stored is None else RunOptions.of(stored)
    return parse(RunOptions, args, default=default, prog="sweeps/run.py")


def _bring(folder: Path, study: str, found: argparse.Namespace) -> None:
    from sweeps.shared import bring  # Optuna, which Ray need not wait for

    bring(folder, study=study, storage=found.storage, trust=found.trust)


def _adopt(
    args: list[str], folder: Path, stored: SweepSettings, name: str
) -> tuple[SweepSettings, SweepSettings]:
    """The settings of a copy that gets a name of its own, and goes on under it."""
    _parse(args, stored)  # before anything is changed
    if name == stored.name:
        raise UserError(f"--name {name} is the name of the original: give the copy another")
    from sweeps.adoption import adopt  # Optuna, which Ray need not wait for

    adopt(folder, stored, name)
    console.print(f"the copy {folder} of sweep {stored.name} is now sweep {name}, of its own")
    rest = [*args, "--resume", name]
    again, settings = read_settings(rest)
    assert again is not None
    return again, settings


def _absolute(settings: SweepSettings) -> SweepSettings:
    """The settings with paths that still hold when the sweep is resumed elsewhere."""
    data = settings.data
    if data is not None:
        from trainables.tasks.table.embedded import EMBEDDED  # numpy, which Ray need not wait for

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

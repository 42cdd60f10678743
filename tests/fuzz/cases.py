"""Cases to try: command lines of every program, and programs on damaged files."""

import argparse
import dataclasses
import random
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from tests.fuzz import damage
from tests.fuzz.box import Box
from tests.fuzz.damage import Damage
from tests.fuzz.sealed import in_place
from tests.fuzz.values import FILES, NUMBERS, WORDS, text
from tests.fuzz.world import SWEEP

PROGRAMS = (
    *(f"sweeps/{name}.py" for name in ("run", "evaluate", "finalists", "replay", "reproduce")),
    *(f"sweeps/{name}.py" for name in ("spaces", "catalogue")),
    *(
        f"analysis/{name}.py"
        for name in ("compare", "export", "figures", "predict", "report", "ui")
    ),
)
USUAL = {
    "sweeps/run.py": ("--space mlp --name new", *SWEEP),
    "sweeps/evaluate.py": ("best-first-mlp.yaml --rounds 1",),
    "sweeps/finalists.py": ("best-first-mlp.yaml best-first-logistic.yaml --repeats 1",),
    "sweeps/replay.py": ("first",),
    "sweeps/spaces.py": ("mlp",),
    "sweeps/reproduce.py": ("kong/fc_1 --quick --dataset digits",),
    "analysis/export.py": ("--sweep first",),
    "analysis/predict.py": ("kept rows.csv",),
    "analysis/figures.py": ("--sweep first",),
    "analysis/report.py": ("--sweep first --local",),
}
"""Valid arguments of each program, to which options are added."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """Option of a program, or a positional argument."""

    name: str
    """Name of the option; empty for a positional argument."""
    takes: int
    """Maximum number of values."""
    choices: tuple[str, ...] = ()
    ordinary: tuple[str, ...] = WORDS


def options_of(program: str) -> list[Option]:
    """Return the options that a program's own parser has."""
    parsers: list[Any] = []
    module = import_module(program.removesuffix(".py").replace("/", "."))
    argv, sys.argv = sys.argv, [program]
    stand_ins: list[tuple[Any, str, Callable[..., Any]]] = [
        (tyro, "cli", lambda settings, **options: _note(parsers, settings)),
        (argparse.ArgumentParser, "parse_args", lambda self, *args: _note(parsers, self)),
    ]
    if hasattr(module, "apart"):  # it parses its options in another process
        stand_ins.append((module, "apart", in_place))
    before = [(holder, name, getattr(holder, name)) for holder, name, _ in stand_ins]
    try:
        for holder, name, stand_in in stand_ins:
            setattr(holder, name, stand_in)
        module.main()
    except SystemExit:
        pass
    finally:
        sys.argv = argv
        for holder, name, own in before:
            setattr(holder, name, own)
    parser = parsers[0]
    if isinstance(parser, argparse.ArgumentParser):
        return [
            Option(name=max(a.option_strings, key=len, default=""), takes=int(a.nargs != 0))
            for a in parser._actions
            if a.help != argparse.SUPPRESS
        ]
    hints = get_type_hints(parser, include_extras=True)
    return [_option(field.name, hints[field.name]) for field in dataclasses.fields(parser)]


def _note(parsers: list[Any], parser: Any) -> None:
    parsers.append(parser)
    raise SystemExit(0)


def _option(name: str, hint: Any) -> Option:
    positional = False
    if get_origin(hint) is Annotated:
        positional = tyro.conf.Positional in hint.__metadata__
        hint = get_args(hint)[0]
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    choices = [str(v) for part in parts if get_origin(part) is Literal for v in get_args(part)]
    takes = 0 if hint is bool else 3 if get_origin(hint) is tuple else 1
    shown = "" if positional else "--" + name.replace("_", "-")
    kinds = {part if get_origin(part) is None else get_args(part)[0] for part in parts}
    ordinary = FILES if Path in kinds else NUMBERS if kinds & {int, float} else WORDS
    return Option(name=shown, takes=takes, choices=tuple(choices), ordinary=ordinary)


def command(rng: random.Random, options: Sequence[Option], program: str) -> list[str]:
    """Draw a command line."""
    args = " ".join(USUAL.get(program, ())).split() if rng.random() < 0.75 else []
    strange = rng.random() < 0.75
    for option in rng.sample(options, k=min(len(options), rng.choice((1, 1, 1, 2, 3)))):
        least = 0 if rng.random() < 0.1 else min(1, option.takes)
        values = [
            text(rng)
            if strange and rng.random() < 0.7
            else rng.choice(option.choices or option.ordinary)
            for _ in range(rng.randint(least, option.takes))
        ]
        joined = option.name and len(values) == 1 and rng.random() < 0.3
        args += [f"{option.name}={values[0]}"] if joined else [option.name, *values]
    return [arg.replace("\0", "") for arg in args if arg != "" or rng.random() < 0.9]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Kind of file, the ways to damage it, and the commands that read it."""

    pattern: str
    """Glob pattern of the file in the box's working folder."""
    damages: tuple[Damage, ...]
    commands: tuple[str, ...]
    """Programs with their arguments."""


_ANY: tuple[Damage, ...] = (damage.in_bytes, damage.in_bytes, damage.as_place, damage.of_another)
_EVALUATE = "sweeps/evaluate.py best-first-mlp.yaml --rounds 1"
_RESUME = ("sweeps/run.py --resume cut", "sweeps/run.py --resume first --trials 4")
_PROMOTE = tuple(
    f"sweeps/run.py --resume paused {more}" for more in ("--trials 14", "--scheduler none")
)
_REPLAY = ("sweeps/replay.py first --tracking-uri sqlite:///fresh.db", *_RESUME[1:])
_READ = ("analysis/compare.py --sweep first", "analysis/export.py --sweep first")
TARGETS = {
    "recipe": Target(
        pattern="best-first-mlp.yaml",
        damages=(damage.in_yaml, damage.in_yaml, damage.in_yaml, *_ANY),
        commands=(
            _EVALUATE,
            f"{_EVALUATE} --cv",
            "sweeps/finalists.py best-first-mlp.yaml best-first-logistic.yaml --repeats 1",
        ),
    ),
    "settings": Target(
        pattern="runs/*/settings.json", damages=(damage.in_json, *_ANY), commands=_RESUME
    ),
    "study": Target(
        pattern="runs/*/mlp/study.journal",
        damages=(damage.in_json_lines, damage.in_json_lines, *_ANY),
        commands=_RESUME,
    ),
    "spool": Target(
        pattern="runs/first/*/spool.jsonl",
        damages=(damage.in_json_lines, damage.in_json_lines, *_ANY),
        commands=_REPLAY,
    ),
    "cursor": Target(
        pattern="runs/first/*/spool.cursor", damages=(damage.in_json, *_ANY), commands=_REPLAY
    ),
    "tracking": Target(
        pattern="runs/first/*/tracking.json",
        damages=(damage.in_json, *_ANY),
        commands=(*_REPLAY, "sweeps/replay.py first"),
    ),
    "checkpoint": Target(
        pattern="runs/cut/mlp/checkpoints/*.pt",
        damages=(damage.in_zip, damage.in_zip, damage.as_pickle, *_ANY),
        commands=_RESUME[:1],
    ),
    "paused_study": Target(
        pattern="runs/paused/mlp/study.journal",
        damages=(damage.in_json_lines, damage.in_json_lines, *_ANY),
        commands=_PROMOTE,
    ),
    "paused_trial": Target(
        pattern="runs/paused/mlp/checkpoints/*.pt",
        damages=(damage.in_zip, damage.in_zip, damage.as_pickle, *_ANY),
        commands=_PROMOTE,
    ),
    "held_out": Target(
        pattern="runs/first/mlp/held_out/*.npz",
        damages=(damage.in_zip, damage.as_pickle, *_ANY),
        commands=_RESUME[1:],
    ),
    "model": Target(
        pattern="kept/*",
        damages=(damage.in_yaml, damage.in_bytes, damage.as_pickle, *_ANY),
        commands=("analysis/predict.py kept rows.csv",),
    ),
    "estimator": Target(
        pattern="kept_estimator/estimator.skops",
        damages=(damage.in_zip, damage.in_zip, damage.as_pickle, *_ANY),
        commands=("analysis/predict.py kept_estimator rows.csv",),
    ),
    "rows": Target(
        pattern="rows.csv",
        damages=_ANY,
        commands=(
            " ".join(("sweeps/run.py --space mlp --name new", *SWEEP)),
            "analysis/predict.py kept rows.csv",
            _EVALUATE,
        ),
    ),
    "artifact": Target(
        pattern="mlartifacts/*/*/artifacts/*.json",
        damages=(damage.in_json, damage.in_json, *_ANY),
        commands=_READ,
    ),
}


def damaged(kind: str, rng: random.Random, box: Box) -> tuple[list[str], str]:
    """Damage a file of a kind in the box; return the command to try and the damage in words."""
    target = TARGETS[kind]
    path = rng.choice(sorted(box.work.glob(target.pattern)))
    done = rng.choice(target.damages)
    if done is damage.in_yaml and path.suffix != ".yaml":
        done = damage.in_bytes
    said = done(path, rng, box.executed)
    command = rng.choice(target.commands).split()
    return command, f"{path.relative_to(box.work)}, {said}"

"""Recipes: exported configurations, written by `analysis/export.py`, read by `sweeps/evaluate.py`.

A recipe is a small YAML file with everything needed to repeat a trial: configuration, task, data,
folds, seeds. It contains data only, no code; a user's task is referred to by the path of its file.
"""

import math
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml

from foldsweep.checks import LARGEST, MOST_FOLDS, MOST_THREADS, brief, described, fits
from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from foldsweep.format1 import upgraded
from foldsweep.names import std_key, val_key
from foldsweep.texts import text

FORMAT = 2
ModelFormat = Literal["torchscript", "onnx", "pt2", "skops"]
"""Formats of stand-alone model files, see `trainables.keep.formats`."""
Mode = Literal["auto", "fused", "looped", "graphed"]
"""Training mode of a fold stack, see `trainables.stack.stack`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A trial to repeat, with its scores and its origin."""

    space: str
    """Name of the space, or the path of its file."""
    variant: str
    """`task/variant`."""
    task: str
    config: dict[str, Any]
    """All active fields of the variant's configuration; others have their defaults."""
    objective: str = "accuracy"
    """Short name of the metric that the sweep optimised."""
    score: dict[str, float]
    """Cross-validated mean and std of each metric after the last epoch."""
    fold_scores: dict[str, list[float]]
    """Scores of each metric by fold."""
    num_params: int
    dataset: str
    """Name of the data."""
    data_digest: str
    origin: dict[str, Any]
    """Source of the data: options of the task, or file name, digest, target and split."""
    record: dict[str, Any] = field(default_factory=dict)
    """The task's record: kind, classes, metrics, split, shapes and schema; empty for format 1."""
    folds: int
    seed: int
    trial: int
    """Number of the trial; its random numbers derive from the seed and this number."""
    threads: int = 1
    device: str = "cpu"
    mode: Mode = "auto"
    sweep: str = ""
    file_digest: str = ""
    """SHA-256 of the user's file if `space` is a path; empty for spaces that ship."""
    mlflow: dict[str, str] = field(default_factory=dict)
    """Tracking URI, experiment and run ids."""
    git_commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    exported_at: str = ""
    format: int = FORMAT

    @property
    def objective_key(self) -> str:
        """Key of the objective among `score`."""
        return val_key(self.objective)

    @property
    def short_variant(self) -> str:
        """The variant's name without its task."""
        return self.variant.rpartition("/")[2]

    def save(self, path: Path, *, comment: str) -> None:
        """Write the recipe to a YAML file, with `comment` at its beginning.

        Raises:
            UserError: If the file cannot be written.
        """
        head = "".join(f"# {line}\n" for line in comment.splitlines())
        body = yaml.dump(
            _plain(asdict(self)), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=99
        )
        write_whole(path, head + body)

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a file that `save` wrote, also in format 1; nothing in it is executed.

        Raises:
            UserError: If the file cannot be read or is not a recipe.
        """
        try:
            values = parsed(path.read_text("utf-8"), yaml.safe_load)
        except OSError as error:
            raise UserError.of(
                "recipe.file-unreadable", path=path, reason=error.strerror
            ) from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise UserError.of("recipe.not-a-recipe", path=path, reason=reason) from None
        version = values.get("format") if isinstance(values, dict) else None
        if type(version) is not int or version not in (1, FORMAT):
            raise UserError.of("recipe.format-unknown", path=path, format=FORMAT)
        if version == 1:
            values = upgraded(values)
        recipe = cls(**_checked(values, path))
        for name, holds, rule in recipe._rules():
            if not holds:
                value = brief(getattr(recipe, name))
                raise UserError.of(
                    "recipe.field-out-of-range", path=path, field=name, rule=rule, value=value
                )
        return recipe

    def _rules(self) -> list[tuple[str, bool, str]]:
        """Conditions on fields without which the trial cannot be repeated: name, result, rule."""
        means = (self.objective_key, std_key(self.objective_key))
        numbers = [self.score.get(name) for name in means]
        files = [v for k in ("data", "test") if (v := self.origin.get(k)) is not None]
        return [
            ("seed", 0 <= self.seed < 2**32, text("recipe.number", below="2**32")),
            ("trial", 0 <= self.trial < LARGEST, text("recipe.number", below="2**64")),
            (
                "folds",
                2 <= self.folds <= MOST_FOLDS,
                text("recipe.from-to", least=2, most=MOST_FOLDS),
            ),
            (
                "threads",
                1 <= self.threads <= MOST_THREADS,
                text("recipe.from-to", least=1, most=MOST_THREADS),
            ),
            (
                "mlflow",
                all(isinstance(v, str) for v in self.mlflow.values()),
                text("recipe.text-only"),
            ),
            ("task", bool(re.fullmatch(r"[\w.-]+", self.task)), text("recipe.a-name")),
            (
                "origin",
                all(isinstance(name, str) and _is_bare(name) for name in files),
                text("recipe.bare-names"),
            ),
            (
                "score",
                all(n is not None and fits(n, float) and math.isfinite(n) for n in numbers),
                text("recipe.numbers-for", names=", ".join(means)),
            ),
        ]


def _is_bare(name: str) -> bool:
    """Whether a file name has no folder part."""
    return name == Path(name).name and name not in ("", "..")


def _checked(values: dict[Any, Any], path: Path) -> dict[str, Any]:
    """Return the values of a recipe if each has the type of its field.

    Raises:
        UserError: If a field is missing, unknown or of a wrong type; the message names it.
    """
    known = get_type_hints(Recipe)
    needed = [f for f in fields(Recipe) if f.default is MISSING and f.default_factory is MISSING]
    unknown = sorted(str(key) for key in set(values) - set(known))
    missing = sorted({f.name for f in needed} - set(values))
    if unknown or missing:
        what = [text("recipe.lacks", keys=", ".join(missing))] * bool(missing)
        what += [text("recipe.unknown-keys", keys=", ".join(unknown))] * bool(unknown)
        mistakes = " and ".join(what)
        raise UserError.of("recipe.fields-missing-or-unknown", path=path, mistakes=mistakes)
    for key, value in values.items():
        plain = Any if key in ("score", "fold_scores") else known[key]
        if not isinstance(value, dict) if plain is Any else not fits(value, plain):
            raise UserError.of(
                "recipe.field-of-wrong-type",
                path=path,
                field=key,
                type="dict" if plain is Any else described(plain),
                value=brief(value),
            )
    return values


class _Dumper(yaml.SafeDumper):
    """Writer of plain values that are read back unchanged."""


def _scalar(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # PyYAML reads these line breaks as spaces unless they are escaped, in double quotes
    style = '"' if any(line_break in value for line_break in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _scalar)


def _plain(value: Any) -> Any:
    """Convert containers to plain lists and dicts, which every YAML reader supports."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value

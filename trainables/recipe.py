"""An exported configuration: what `analysis/export.py` writes and `sweeps/evaluate.py` reads.

A recipe is a small YAML file that holds all that repeats a trial: configuration, data, folds,
seeds. It is data only; a user's own variant is named by the path of its space file.
"""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_origin

import yaml

from foldsweep.errors import UserError
from foldsweep.names import VAL_ACCURACY, VAL_LOSS, std_key
from trainables.data.pairs import PairData, draw_pairs
from trainables.data.source import Source

FORMAT = 1
ModelFormat = Literal["torchscript", "onnx", "pt2"]
"""Stand-alone files that a recipe's model can be written to, see `trainables.keep.formats`."""
MODES = ("auto", "fused", "looped", "graphed")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A trial to repeat, with the score it had and where it came from."""

    space: str
    """Name of the space, or the path of its file."""
    variant: str
    config: dict[str, Any]
    """Every field of the variant's configuration."""
    score: dict[str, float]
    """Cross-validated mean and std of each metric after the last epoch."""
    fold_scores: dict[str, list[float]]
    """The same by fold."""
    num_params: int
    dataset: str
    data_digest: str
    train_pairs: int
    test_pairs: int
    folds: int
    seed: int
    trial: int
    """Number of the trial; its random numbers derive from the seed and this."""
    threads: int = 1
    device: str = "cpu"
    mode: str = "auto"
    sweep: str = ""
    mlflow: dict[str, str] = field(default_factory=dict)
    """Tracking URI, experiment and run ids."""
    git_commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    exported_at: str = ""
    format: int = FORMAT

    def save(self, path: Path, *, comment: str) -> None:
        """Write the file; `comment` stands above it.

        Raises:
            UserError: If the file cannot be written.
        """
        head = "".join(f"# {line}\n" for line in comment.splitlines())
        body = yaml.safe_dump(_plain(asdict(self)), sort_keys=False, allow_unicode=True, width=99)
        try:
            part = path.with_name(path.name + ".part")
            part.write_text(head + body)
            part.replace(path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a file that `save` wrote; nothing in it is executed.

        Raises:
            UserError: If there is no such file or it is not a recipe.
        """
        try:
            values = yaml.safe_load(path.read_text())
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} is not a YAML file of ours: {reason}") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise UserError(f"{path} is not an exported configuration of format {FORMAT}")
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(str(key) for key in set(values) - set(known))
        missing = sorted({"space", "variant", "config", "dataset", "folds", "seed"} - set(values))
        if unknown or missing:
            what = [f"lacks {', '.join(missing)}"] * bool(missing)
            what += [f"has unknown {', '.join(unknown)}"] * bool(unknown)
            raise UserError(f"{path} {' and '.join(what)}; export it again")
        for key, value in values.items():
            kind: Any = get_origin(known[key].type) or known[key].type
            if not isinstance(value, kind) or isinstance(value, bool):
                raise UserError(f"{path}: {key} must be {kind.__name__}, but is {value!r}")
        try:
            recipe = cls(**values)
        except TypeError as error:
            raise UserError(f"{path} is incomplete: {error}; export it again") from None
        for name, holds, rule in recipe._rules():
            if not holds:
                raise UserError(f"{path}: {name} must {rule}, but is {getattr(recipe, name)!r}")
        return recipe

    def draw_pairs(self, source: Source) -> PairData:
        """The pairs of the sweep, proven by their digest.

        Raises:
            UserError: If `source` does not give them.
        """
        data = draw_pairs(
            source,
            seed=self.seed,
            train_pairs=self.train_pairs,
            test_pairs=self.test_pairs,
        )
        if data.digest != self.data_digest:
            raise UserError(
                f"these pairs are not the sweep's: their digest is {data.digest},"
                f" the file has {self.data_digest}; is the {self.dataset} data the same?"
            )
        return data

    def _rules(self) -> list[tuple[str, bool, str]]:
        """What must hold of each field for the trial to be repeated."""
        means = [key for name in (VAL_ACCURACY, VAL_LOSS) for key in (name, std_key(name))]
        numbers = [self.score.get(name) for name in means]
        return [
            ("seed", 0 <= self.seed < 2**32, "be at least 0 and below 2**32"),
            ("trial", 0 <= self.trial < 2**64, "be at least 0 and below 2**64"),
            ("folds", self.folds >= 2, "be at least 2"),
            ("threads", self.threads >= 1, "be at least 1"),
            ("mode", self.mode in MODES, f"be one of {', '.join(MODES)}"),
            ("mlflow", all(isinstance(v, str) for v in self.mlflow.values()), "hold words only"),
            (
                "score",
                all(isinstance(n, int | float) for n in numbers),
                f"have numbers for {', '.join(means)}",
            ),
        ]


def _plain(value: Any) -> Any:
    """Lists and dicts that every YAML reader knows."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value

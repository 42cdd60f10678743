"""Values for options and data: ordinary, empty, absurd and malformed."""

import random
from typing import Any

NUMBERS = ("1", "2", "3", "0.5", "100")
FILES = ("rows.csv", "best-first-mlp.yaml", "kept", "runs", "new.html", "new", ".")
WORDS = (
    *("mlp", "logistic", "first", "cut", "first/mlp", "kind", "size", "accuracy", "val_loss"),
    *("churn", "foldsweep", "sqlite:///mlflow.db", "sqlite:///new.db"),
)
ORDINARY = (*NUMBERS, *FILES, *WORDS)
EMPTY = ("", " ", "\t", "-", "--", "''", "\n")
ABSURD = (
    *("-1", "0", "-0", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 400, "0x10", "1_000"),
    *(str(2**31), str(2**32), str(2**40), str(2**64), "1.5", "None", "null", "[]", "{}", "true"),
    *("%s", "$HOME", "*", "?", "a\nb", "\x1b[31m", "[red]", "A" * 300, "B" * 50_000, "٣", "1,2"),
)
STRANGE = ("\udcff", "b\udce9r", "\udced\udca0\udc80", "naïve", "漢字", "😀", "\u202e", "\ufeff")
PATHS = (
    *("..", "../..", "../outside/x", ".", "/proc/x/y", "/proc/self/mem", "rows.csv/x", "~", "~x"),
    *("a/../../outside/y", "C:\\x", "dir with space", "x?y", "%20", "#", "link", "missing.yaml"),
    *("runs/first/settings.json", "x" * 255, "y/" * 2000),
)
URLS = (
    *("http://", "http://127.0.0.1:9", "https://127.0.0.1:9/x", "http://127.0.0.1:99999999"),
    *("http://[::1", "ftp://127.0.0.1/x", "s3://", "s3://bucket/x", "file:///", "://", "http:/x"),
    *(
        "sqlite://",
        "sqlite:///",
        "sqlite:///fresh.db",
        "sqlite:////proc/x.db",
        "sqlite:///rows.csv",
    ),
    *("postgresql://u:p@127.0.0.1:9/x", "databricks", "databricks://x", "uc:x", "models:/x@y"),
    *("models:/", "javascript:alert(1)", "mlflow-artifacts:/x", "127.0.0.1:9", "auto", "gs://x/y"),
)
POOLS = (ORDINARY, ORDINARY, EMPTY, ABSURD, ABSURD, STRANGE, PATHS, URLS)
"""Pools of values for options; paths stay in the box, and `/proc` stands for unwritable ones."""

WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, -1e308, 10**400, 2**64, float("nan"), float("inf")),
    *(10**6, 10**9, 2**40),
    *("", " ", "x", "9" * 400, "A" * 20_000, "../../outside/z", "a\nb", "\ud800", "\0", "漢字"),
    *([], {}, [None], [[]], [1, "a"], {"": None}, {"a": {"b": []}}, ["x"] * 300),
    *(
        "sqlite:///../outside/evil.db",
        "http://127.0.0.1:9",
        "ftp://x",
        "s3://",
        "/proc/x",
        "nosuch",
    ),
)
"""Values of wrong types and ranges, for data."""


def text(rng: random.Random) -> str:
    """Draw a value for an option."""
    return rng.choice(rng.choice(POOLS))


def nested(rng: random.Random, depth: int) -> Any:
    """Nest lists and dictionaries to a depth."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value

"""Table with a column for each role, as a data frame and as a file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROWS = 200


@pytest.fixture(scope="session")
def churn() -> pd.DataFrame:
    """200 rows with two classes in `left`, missing values and columns that are not inputs."""
    random = np.random.default_rng(0)
    charges = random.normal(50, 10, ROWS).round(2)
    charges[random.random(ROWS) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "customer": [f"C{i:05d}" for i in range(ROWS)],
            "age": random.integers(18, 90, ROWS),
            "charges": charges,
            "plan": random.choice(["basic", "plus", "pro, big"], ROWS),
            "country": "DE",
            "member": random.choice([True, False], ROWS),
            "since": pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"),
            "city": random.choice([*"abcdefgh", None], ROWS),
            "left": random.choice(["yes", "no"], ROWS, p=[0.3, 0.7]),
        }
    )


@pytest.fixture
def churn_file(churn: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "churn.csv"
    churn.to_csv(path, index=False)
    return path

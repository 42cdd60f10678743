"""Encoding of a table's columns as inputs of a network, fitted on training rows only.

Legend of shapes: n rows, p numeric columns, f of them with missing values, q categorical columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.tasks.samples import CATEGORIES, Samples
from trainables.tasks.table.schema import Schema

RARE = 5
"""Categories with fewer training rows than this are encoded as `other`. Weights learned from four
rows are mostly noise; and rare training rows train the weights of `other`, which held-out rows
then use."""
OTHER = 0
"""Code of a missing, unseen or rare category."""


@dataclass(frozen=True, kw_only=True)
class TableEncoder:
    """Encoder of a table's columns; shapes depend on the schema, statistics on the rows."""

    schema: Schema

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of codes of each categorical column, `other` included."""
        return self.schema.levels

    def fit(self, samples: Samples) -> "TableEncoding":
        """Fit medians, means, standard deviations and frequent categories.

        Args:
            samples: Training rows of a member.
        """
        encoding = self.unfitted()
        if "numeric" in samples.inputs:
            _fit_numeric(encoding, samples.inputs["numeric"])
        if CATEGORIES in samples.inputs:
            _fit_categories(encoding, samples.inputs[CATEGORIES], self.levels)
        return encoding

    def unfitted(self) -> "TableEncoding":
        """Return an encoding with unfitted buffers of the right shapes, to load a state into."""
        return TableEncoding(
            num_numeric=len(self.schema.numeric),
            flagged=self.schema.flagged,
            levels=self.levels,
        )

    def shapes(self, samples: Samples) -> dict[str, tuple[int, ...]]:
        """Shapes of one encoded row, by name."""
        numeric = len(self.schema.numeric) + len(self.schema.flagged)
        categories = len(self.levels)
        widths = {"numeric": numeric, CATEGORIES: categories}
        return {name: (width,) for name, width in widths.items() if width}


class TableEncoding(nn.Module):
    """Fitted encoding: columns as tensors to inputs of a network. Buffers hold the statistics.

    `numeric` (n, p) with NaN where missing becomes float32 (n, p + f): missing values are replaced
    by the median, all values are standardised, and f flags are appended, 1 where a value was
    missing. `categories` (n, q) with -1 where missing or unseen becomes codes from 0, which is
    `other`.
    """

    def __init__(self, *, num_numeric: int, flagged: tuple[int, ...], levels: tuple[int, ...]):
        super().__init__()
        sizes = np.array(levels, dtype=np.int64)
        self.register_buffer("median", torch.zeros(num_numeric, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(num_numeric, dtype=torch.float64))
        self.register_buffer("std", torch.ones(num_numeric, dtype=torch.float64))
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("codes", torch.zeros(int(sizes.sum()), dtype=torch.int64))
        self.register_buffer("offsets", torch.from_numpy(np.cumsum(sizes) - sizes))
        self.median: Tensor
        self.mean: Tensor
        self.std: Tensor
        self.flagged: Tensor
        """Indices of the numeric columns with a flag for missing values."""
        self.codes: Tensor
        """Code of each category, column after column; the first of each column is `other`."""
        self.offsets: Tensor
        """Index into `codes` at which each column begins."""

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        encoded = {}
        if "numeric" in inputs:
            encoded["numeric"] = self._numeric(inputs["numeric"])
        if CATEGORIES in inputs:
            encoded[CATEGORIES] = self.codes[inputs[CATEGORIES] + 1 + self.offsets]
        return encoded

    def _numeric(self, values: Tensor) -> Tensor:
        missing = values.isnan()
        standardised = (torch.where(missing, self.median, values) - self.mean) / self.std
        flags = missing.index_select(-1, self.flagged)
        return torch.cat([standardised.float(), flags.float()], dim=-1)


def _fit_numeric(encoding: TableEncoding, values: np.ndarray) -> None:
    """Fit medians of present values, 0 if there are none, and mean and std after imputation."""
    missing = np.isnan(values)
    empty = missing.all(axis=0)
    median = np.nanmedian(np.where(empty, 0.0, values), axis=0)
    imputed = np.where(missing, median, values)
    std = imputed.std(axis=0)
    constant = (imputed == imputed[:1]).all(axis=0) | (std == 0)
    encoding.median.copy_(torch.from_numpy(median))
    encoding.mean.copy_(torch.from_numpy(imputed.mean(axis=0)))
    encoding.std.copy_(torch.from_numpy(np.where(constant, 1.0, std)))


def _fit_categories(encoding: TableEncoding, codes: np.ndarray, levels: tuple[int, ...]) -> None:
    """Fit codes: categories with at least `RARE` rows keep theirs, the rest become `other`."""
    kept = []
    for column, size in zip(codes.T, levels, strict=True):
        counts = np.bincount(column + 1, minlength=size)
        frequent = np.where(counts >= RARE, np.arange(size), OTHER)
        kept.append(np.where(np.arange(size) == 0, OTHER, frequent))
    encoding.codes.copy_(torch.from_numpy(np.concatenate(kept)))

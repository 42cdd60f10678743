"""Kinds of tasks: classification and regression, with their losses, predictions and statistics.

Legend of shapes: m members (any number of leading axes, also none), b rows, k classes, t values.
Values of losses come with an axis for rows: scalars as (*m, 1), vectors as (*m, 1, k).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from foldsweep import names
from foldsweep.errors import UserError
from trainables.tasks.encode import TableEncoder
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.schema import Label, Schema
from trainables.tasks.scores import metric
from trainables.tasks.splits import Split, SplitFunction
from trainables.tasks.targets import class_codes, class_labels
from trainables.tasks.task import Augment, DataRequest, Output, Standardising, Task, argmax

CLASSIFICATION = ("accuracy", "log_loss")
"""Metrics of every classification, objective first."""
REGRESSION = ("r2", "rmse", "mae")
"""Metrics of every regression, objective first."""

DataFunction = Callable[[DataRequest], Data]
Metrics = Mapping[str, Metric] | Iterable[str]
"""The user's own metrics by name, or short names of known ones."""

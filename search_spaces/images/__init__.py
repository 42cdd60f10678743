"""Spaces for images of any size and number of channels."""

from collections.abc import Callable

from search_spaces.images import cnn
from search_spaces.space import SearchSpace
from trainables.tasks.task import Task

IMAGE_SPACES: dict[str, Callable[[Task], SearchSpace]] = {"cnn": cnn.space}

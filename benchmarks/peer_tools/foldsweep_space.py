"""Space file for foldsweep: a job's configurations as points, or the job's space.

Its trials are trained by a subclass of foldsweep's own Trainable, which records times and scores.
"""

from dataclasses import replace
from typing import Any

from ray import tune

from foldsweep.names import val_key
from peer_tools.job import Job, Recorder
from peer_tools.subclass import Trainable, train_with
from search_spaces.loading import load_space
from search_spaces.space import Point, SearchSpace
from trainables.trainable import BY_FOLD

NAME = "peers"


def space() -> SearchSpace:
    """Make the space of the job in the environment."""
    job = Job.load()
    train_with(lambda trainable: _recorded(trainable, job))
    if job.space is not None:
        return replace(load_space(job.space), name=NAME)
    configs = job.configs
    return SearchSpace(
        name=NAME,
        variant=job.network,
        domains={
            **job.fixed,
            **{key: tune.choice(values) for key, values in job.axes.items()},
        },
        points=[
            Point(name=f"trial {i}", config={**job.fixed, **values})
            for i, values in enumerate(configs)
        ],
    )


def _recorded(trainable: Trainable, job: Job) -> Trainable:
    keys = tuple(job.axes) or tuple(job.ranges)
    recorder = Recorder(job.folder)

    class Recorded(trainable):  # type: ignore[valid-type, misc]
        def step(self) -> dict[str, Any]:
            with recorder.training():
                result: dict[str, Any] = super().step()
            if result["done"]:
                config = self.trial.config.to_dict()
                values = {key: config[key] for key in keys}
                recorder.scores(values, dict(result[BY_FOLD])[val_key("accuracy")])
            return result

    return Recorded

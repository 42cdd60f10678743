"""Lifecycle of each trial, recorded in study and spool: asked, trained, paused, ended."""

from sweeps.lifecycle.attempts import MOST_LOST as MOST_LOST
from sweeps.lifecycle.attempts import Running as Running
from sweeps.lifecycle.tally import LEAST_ENDED_TO_GIVE_UP as LEAST_ENDED_TO_GIVE_UP
from sweeps.lifecycle.tally import REFUSED_TO_GIVE_UP as REFUSED_TO_GIVE_UP
from sweeps.lifecycle.trials import Lifecycle as Lifecycle

"""Ends of sweeps, as the programs receive them."""

from typing import Any

from sweeps.ledger import Ledger
from sweeps.sweep import SweepEnd


def ended(ledger: Ledger, **otherwise: Any) -> SweepEnd:
    """A sweep that ended by itself, with all its records in MLflow."""
    plain: dict[str, Any] = {
        **{"interrupted": False, "out_of_time": False, "hopeless": False, "last_error": None},
        **{"waiting_records": 0, "tracking_problem": ""},
    }
    return SweepEnd(ledger=ledger, **(plain | otherwise))

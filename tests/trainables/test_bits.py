"""Results of shipped variants equal the recorded ones, to the last bit."""

import json
from pathlib import Path

import pytest

from benchmarks.bits import differences, hashes, machine_key

KEPT = json.loads((Path(__file__).parents[1] / "fixtures" / "bits.json").read_text())


@pytest.mark.skipif(
    machine_key() != KEPT["machine"],
    reason=f"bits were recorded with {KEPT['machine']}, and here is {machine_key()}",
)
def test_weights_metrics_and_predictions_keep_their_bits():
    assert list(differences(KEPT["hashes"], hashes())) == []

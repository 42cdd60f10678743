"""Estimated gain of more trials, on recorded sweeps."""

from gains import GainSettings, gained
from policy_tools.curves import read_all


def test_it_is_within_a_factor_of_two_from_twenty_trials_on() -> None:
    settings = GainSettings(orders=200)
    long = [one for one in read_all(settings.records) if len(one.sampled) >= 100]
    assert len(long) == 3
    for recording in long:
        for trials in (20, 30):
            _, _, mean, estimate, _ = gained(recording, trials, settings)
            assert float(mean) / 2 < float(estimate) < 2 * float(mean), recording.name


def test_a_row_is_the_same_each_time() -> None:
    settings = GainSettings(orders=20)
    recording = next(iter(read_all(settings.records)))
    assert gained(recording, 10, settings) == gained(recording, 10, settings)
    assert gained(recording, 10, settings) != gained(
        recording, 10, GainSettings(orders=20, seed=1)
    )

"""Real runs, interleaved at random, are serializable; at snapshot isolation they need not be."""

from pathlib import Path

import pytest
from histories import play
from workplaces import Workplace


def play_many(root: Path, seeds: range) -> int:
    """Play histories on one lake; give how often a run lost and was executed again."""
    place = Workplace(root)
    losses = 0
    try:
        for seed in seeds:
            played = play(place, seed, "serializable")
            assert played.is_serializable, f"seed {seed}: {played}"
            losses += played.losses
    finally:
        place.close()
    return losses


def test_random_histories_are_serializable(tmp_path: Path) -> None:
    assert play_many(tmp_path, range(25)) > 0


@pytest.mark.soak
def test_five_hundred_random_histories_are_serializable(tmp_path: Path) -> None:
    assert play_many(tmp_path, range(1000, 1500)) > 0


def test_at_snapshot_isolation_an_anomaly_is_found(place: Workplace) -> None:
    seeds = range(40)
    assert not all(play(place, seed, "snapshot-isolation").is_serializable for seed in seeds)

"""A run whose revert was reverted is in effect, also for the reverts of others."""

from test_reverted_runs import keys, write
from workplaces import Workplace


def test_a_follower_whose_revert_was_reverted_stays(place: Workplace) -> None:
    write(place, 1)
    run = write(place, 2)
    follower = write(place, 3)
    undone = place.hall.revert(follower, target="main")
    place.hall.revert(undone.id, target="main")
    assert keys(place) == [1, 2, 3]
    place.hall.revert(run, target="main")
    assert keys(place) == [1, 3]

"""A branch takes its cursors with it: what both sides read is nowhere twice, what one reads is."""

from pathlib import Path
from typing import Any

import pytest
from changing_orders import Orders
from workplaces import Workplace

from headgate.errors import HeadgateError
from headgate.testing.postgres_servers import PostgresServer

COUNTING = """
import pathlib
import headgate as hg

@hg.source
def counted(cursor=0):
    for number in range(cursor + 1, int(pathlib.Path({!r}).read_text()) + 1):
        yield {{"id": number}}, number
"""


class Counted:
    """A source that counts as far as it is told, appended."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.file = Path(place.root) / "far"
        self.pipeline = place.pipeline(COUNTING.format(str(self.file)))

    def run(self, far: int, target: str = "main") -> Any:
        self.file.write_text(str(far))
        return self.place.hall.run(self.pipeline, target=target)

    def ids(self, ref: str = "main") -> list[object]:
        return sorted(row["id"] for row in self.place.rows("counted", ref))


@pytest.fixture
def counted(place: Workplace) -> Counted:
    made = Counted(place)
    made.run(3)
    place.lake.create_branch("dev", "main")
    return made


def test_what_both_sides_have_read_is_not_merged(counted: Counted) -> None:
    counted.run(5, "dev")
    counted.run(5)
    with pytest.raises(HeadgateError) as refused:
        counted.place.hall.merge("dev", "main")
    assert refused.value.code == "cannot-rebase"
    counted.run(6)
    assert counted.ids() == [1, 2, 3, 4, 5, 6]


def test_after_a_merge_both_sides_read_on_from_there(counted: Counted) -> None:
    counted.run(5, "dev")
    counted.place.hall.merge("dev", "main")
    for target in ("main", "dev"):
        counted.run(7, target)
        assert counted.ids(target) == [1, 2, 3, 4, 5, 6, 7]


def test_what_was_taken_back_is_read_again_the_last_first(counted: Counted) -> None:
    middle, last = counted.run(5), counted.run(7)
    with pytest.raises(HeadgateError, match="cursor-moved"):
        counted.place.hall.revert(middle.id, target="main")
    counted.place.hall.revert(last.id, target="main")
    assert counted.ids() == [1, 2, 3, 4, 5]
    counted.run(8)
    assert counted.ids() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_changes_that_a_branch_has_read_are_merged_and_followed(
    logical_postgres: PostgresServer, place: Workplace
) -> None:
    orders = Orders(logical_postgres, place, "id int primary key, note text")
    orders.do("insert into {} select i, 'n' from generate_series(1, 9) i")
    pipeline = orders.pipeline()
    orders.run(pipeline)
    for number in (1, 2):  # the second has the name, and so the slot, of the first
        place.lake.create_branch("dev", "main")
        orders.do(f"delete from {{}} where id = {number}")
        orders.run(pipeline, target="dev")
        orders.do(f"update {{}} set id = id + 100 where id = {number + 2}")
        place.hall.merge("dev", "main")
        orders.run(pipeline)
        assert orders.notes() == []
        assert orders.here() == orders.there()
        place.lake.delete_branch("dev")

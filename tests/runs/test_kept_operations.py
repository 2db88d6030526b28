"""What a kept step carries to another base takes nothing from those who published there."""

from workplaces import Workplace

from headgate.events import ConflictMet

KEYED = """
from collections.abc import Iterator
import headgate as hg

@hg.step(mode="upsert", key="k")
def numbers() -> Iterator[dict]:
    yield {"k": 1, "v": 9}

@hg.step(after=["numbers"])
def others() -> Iterator[dict]:
    HOOK()
    yield {"x": 1}
"""


def test_a_kept_upsert_leaves_columns_that_were_added_meanwhile(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("numbers", [{"k": 1, "v": 0}], mode="upsert", key="k")
    pipeline = place.pipeline(KEYED)
    done: list[bool] = []

    def hook() -> None:
        if not done:
            done.append(True)
            with place.hall.transaction("main") as transaction:
                rows = [{"k": 1, "v": 5, "c": 7}]
                transaction.write("numbers", rows, mode="upsert", key="k")

    pipeline.steps[0].function.__globals__["HOOK"] = hook  # type: ignore[union-attr]
    place.hall.run(pipeline, target="main")
    assert len(place.heard(ConflictMet)) == 1
    assert place.rows("numbers") == [{"k": 1, "v": 9, "c": 7}]


def test_a_replacement_merged_over_new_columns_is_replayed_with_them(place: Workplace) -> None:
    def write(rows: list[dict[str, object]]) -> str:
        with place.hall.transaction("main") as transaction:
            transaction.write("numbers", rows, mode="append")
        return place.head()

    write([{"k": 1}])
    reverted = write([{"k": 2}])
    with place.hall.transaction("main") as replacing:
        replacing.write("numbers", [{"k": 3}], mode="replace")
        write([{"k": 4, "c": 5}])
    write([{"k": 5, "c": 6}])
    before = place.rows("numbers")
    place.hall.revert(reverted, target="main")
    assert place.rows("numbers") == before == [{"k": 3, "c": None}, {"k": 5, "c": 6}]

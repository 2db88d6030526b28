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

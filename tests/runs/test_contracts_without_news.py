"""A contract that changes is judged and published, also where nothing new has come in."""

import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed
from headgate.lake import RunState, contract_key

PIPELINE = """
import headgate as hg
from typing import Annotated

CONTRACT

orders = hg.files("orders*.csv", MODE CONTRACTED)
"""
CLASS = """
class Order(hg.Contract):
    id: Annotated[int, hg.between(1, {0})]
"""


def text(mode: str, limit: int | None) -> str:
    made = PIPELINE.replace("MODE", mode)
    if limit is None:
        return made.replace("CONTRACTED", "").replace("CONTRACT", "")
    return made.replace("CONTRACTED", ", contract=Order").replace("CONTRACT", CLASS.format(limit))


@pytest.mark.parametrize("mode", ['mode="append"', 'mode="upsert", key="id"'])
def test_a_changed_contract_is_judged_though_nothing_new_came(place: Workplace, mode: str) -> None:
    (place.root / "orders.csv").write_text("id\n1\n2\n")
    place.hall.run(place.pipeline(text(mode, None)), target="main")
    with pytest.raises(CheckFailed, match="between 1 and 1"):
        place.hall.run(place.pipeline(text(mode, 1)), target="main")
    result = place.hall.run(place.pipeline(text(mode, 9)), target="main")
    assert result.state is RunState.PUBLISHED
    tree = place.lake.tree(place.lake.resolve("main"))
    assert tree.get(contract_key("orders")) is not None
    assert [row["id"] for row in place.rows("orders")] == [1, 2]
    again = place.hall.run(place.pipeline(text(mode, 9)), target="main")
    assert again.state is RunState.NOTHING
    place.hall.run(place.pipeline(text(mode, None)), target="main")
    tree = place.lake.tree(place.lake.resolve("main"))
    assert tree.get(contract_key("orders")) is None

"""Files of one source that differ in columns and delimiter: each row once, bad ones in place."""

import json
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workplaces import Workplace

PIPELINE = """
import headgate as hg

class Part(hg.Contract):
    id: int
    amount: float | None

{name} = hg.files("part_*.csv", contract=Part)
"""


@dataclass(frozen=True)
class Written:
    """A file: its text, its good rows, and the lines on which bad ones begin."""

    text: str
    good: tuple[tuple[int, float | None], ...]
    bad: tuple[int, ...]


CELLS = {
    "id": st.integers(-99, 99).map(str) | st.sampled_from([" 7 ", "8.0", "x", "1e2", "9,9", "'"]),
    "amount": st.sampled_from(["", "1", "2.5", "-0.125", "1_0", "oops", "inf", ' 3 "a"']),
    "note": st.text(alphabet='ab",;|\n é', max_size=5),
}
IDS = {" 7 ": 7, "8.0": 8}
AMOUNTS = {"": None, "1": 1.0, "2.5": 2.5, "-0.125": -0.125, "inf": float("inf")}


@st.composite
def files(draw: st.DrawFn, number: int) -> Written:
    """Draw a file; its first row is sound, so that the delimiter can be told."""
    columns = ["id", *draw(st.permutations(["amount", "note"]))]
    columns = columns if draw(st.booleans()) or number == 0 else columns[:2]
    delimiter = draw(st.sampled_from([",", ";", "|"]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    sound = {"id": str(number), "amount": "1", "note": "n"}
    rows = [sound, *draw(st.lists(st.fixed_dictionaries(CELLS), max_size=5))]
    text = delimiter.join(columns) + end
    good: list[tuple[int, float | None]] = []
    bad: list[int] = []
    line = 2
    for row in rows:
        record = delimiter.join('"' + row[name].replace('"', '""') + '"' for name in columns)
        whole = int(row["id"]) if row["id"].lstrip("-").isdecimal() else IDS.get(row["id"])
        amount = row["amount"] if "amount" in columns else ""
        if whole is None or amount not in AMOUNTS:
            bad.append(line)
        else:
            good.append((whole, AMOUNTS[amount]))
        text += record + end
        line += record.count("\n") + 1
        if draw(st.integers(0, 6)) == 0:
            text += f"5{delimiter}6{delimiter}7{delimiter}8{end}"
            bad.append(line)
            line += 1
    return Written(text=text, good=tuple(good), bad=tuple(bad))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), count=st.integers(1, 3))
def test_every_row_of_files_that_differ_is_there_once(
    place: Workplace, data: st.DataObject, count: int
) -> None:
    for old in place.root.glob("part_*.csv"):
        old.unlink()
    name = f"parts_{len(place.events)}"
    written = [data.draw(files(number)) for number in range(count)]
    for number, file in enumerate(written):
        (place.root / f"part_{number}.csv").write_bytes(file.text.encode())
    place.hall.run(place.pipeline(PIPELINE.format(name=name)), target="main")
    found = [(row["id"], row["amount"]) for row in place.rows(name)]
    assert sorted(map(repr, found)) == sorted(repr(row) for file in written for row in file.good)
    expected = sorted(
        f"part_{number}.csv:{line}" for number, file in enumerate(written) for line in file.bad
    )
    if expected:
        aside = place.rows(f"_quarantine.{name}")
        assert sorted(str(row["position"]) for row in aside) == expected
        assert all(json.loads(str(row["payload"])) for row in aside)

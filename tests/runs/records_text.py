"""Records for tests: batches of JSON texts, loads one after the other, and what is in tables."""

import json
import re

import pyarrow as pa
from scripted import maker
from workplaces import Workplace

from headgate.events import RunStarted
from headgate.source_columns import POSITION, RECORD

PLAIN = """
import headgate as hg

orders = hg.source("scripted"{options})
"""


def batch(*records: object) -> pa.Table:
    """Give records as a source does, each with its place."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in records]
    places = [f"orders.json:{number}" for number in range(1, len(texts) + 1)]
    return pa.table({RECORD: pa.array(texts, pa.string()), POSITION: pa.array(places, pa.string())})


def load(place: Workplace, *records: object, options: str = "", text: str = PLAIN) -> None:
    """Run a pipeline whose source gives these records, and gave nothing before."""
    done = len(place.heard(RunStarted))
    place.sources["scripted"] = maker([*(batch() for _ in range(done)), batch(*records)])
    place.hall.run(place.pipeline(text.replace("{options}", options)), target="main")


def types(place: Workplace, table: str) -> dict[str, str]:
    """Give a table's columns and their types, without ids."""
    entry = place.lake.tree(place.lake.resolve("main")).get(f"table/{table}")
    assert entry is not None
    assert entry.table is not None
    return {each.name: re.sub(r"\d+: ", "", each.type) for each in entry.table.schema}


def payload(rejected: dict[str, object]) -> str:
    """Give the text of a record that was set aside."""
    text = str(rejected["payload"])
    return str(json.loads(text)["raw"]) if text.startswith('{"raw":') else text

"""Looking at tables stays light: neither PyIceberg nor Arrow is loaded before it is needed."""

import subprocess
import sys

import msgspec
import pyarrow as pa
import pytest

PROGRAM = """
import sys
from pathlib import Path

import msgspec

from headgate.clock import SystemClock
from headgate.lake import Entry, Lake
from headgate.names import RandomIds

entry = msgspec.json.decode(sys.argv[2].encode(), type=Entry)
with Lake.open(Path(sys.argv[1]), clock=SystemClock(), ids=RandomIds()) as lake:
    assert len(lake.tables.files(entry)) == 15
    assert lake.tables.new_paths(entry, None)
    assert "pyarrow" not in sys.modules
    assert lake.tables.scan(entry).rows == 15
    assert "pyiceberg" not in sys.modules
"""


@pytest.mark.in_one_directory
def test_reading_a_table_needs_no_pyiceberg_and_its_file_list_no_arrow(bench):
    entry = None
    for number in range(15):
        entry = bench.write(entry, pa.table({"a": [number]}))
    subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(bench.lake.location),
            msgspec.json.encode(entry).decode(),
        ],
        check=True,
        timeout=60,
    )

"""PyIceberg: PyArrow's CSV reader in pieces, an append each, no checks."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
from pyiceberg.catalog.sql import SqlCatalog

path, out = Path(sys.argv[1]), Path(sys.argv[2])
catalog = SqlCatalog("lake", uri=f"sqlite:///{out}/catalog.db", warehouse=f"file://{out}")
catalog.create_namespace("raw")
reader = pyarrow.csv.open_csv(path, read_options=pyarrow.csv.ReadOptions(block_size=128 << 20))
instants = {"at": pa.timestamp("us")}
schema = pa.schema(
    [pa.field(f.name, instants.get(f.name, f.type), nullable=True) for f in reader.schema]
)
table = catalog.create_table("raw.orders", schema)
for batch in reader:
    table.append(pa.Table.from_batches([batch]).cast(schema))

"""Columns that a source gives beside a row's own. No table has them; ingestion takes them away.

All are optional. A batch with ``RECORD`` has no column of its own: the rows are in the JSON.
"""

from typing import Final

POSITION: Final = "_hg_position"
"""Text: where the source has the row (``orders.json:12``, ``page 3, record 7``)."""

RECORD: Final = "_hg_record"
"""Text: the whole row as one JSON object, not yet columns; what it becomes is decided over all."""

OPERATION: Final = "_hg_operation"
"""Text: ``upsert``, ``delete`` (by key; other columns do not count) or ``truncate`` (all before it
goes; no column counts)."""

ORDER: Final = "_hg_order"
"""A whole number (int64), ascending in the order in which operations were done."""

UNCHANGED: Final = "_hg_unchanged"
"""A list of texts: the columns whose value is not told, because it is that of the row before."""

BEFORE: Final = "_hg_before"
"""A struct of the key's columns: the key the row had, where the operation changed it; else NULL."""

ALL: Final = (POSITION, RECORD, OPERATION, ORDER, UNCHANGED, BEFORE)

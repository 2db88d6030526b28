"""DuckDB's profile of a statement: how many rows passed where, counted by DuckDB itself."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Profile:
    """The operators of a statement that has run."""

    def __init__(self, text: str) -> None:
        self._roots: list[Mapping[str, Any]] = json.loads(text).get("operator", [])

    def rows_into_filter(self, function: str) -> int:
        """Give how many rows reached the filter that calls a function.

        A query that is empty by its text alone has no filter, and no rows.
        """
        for operator in self._operators():
            if function in str(operator.get("extra_info", {}).get("Expression", "")):
                return sum(int(child["intermediate_rows"]) for child in operator["children"])
        return 0

    def rows_of_csv(self) -> int:
        """Give how many rows were read from CSV files."""
        return sum(
            int(operator["intermediate_rows"])
            for operator in self._operators()
            if operator.get("extra_info", {}).get("Function") == "READ_CSV"
        )

    def _operators(self) -> Iterator[Mapping[str, Any]]:
        pending = list(self._roots)
        while pending:
            operator = pending.pop()
            yield operator
            pending += operator.get("children", [])

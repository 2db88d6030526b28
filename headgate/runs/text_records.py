"""Mended texts of records that were no rows, read once more as the file they came from is written.

Only CSV has such texts whose columns are told elsewhere, in the file's header; the file is asked.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TypeAlias, cast

from headgate.errors import HeadgateError
from headgate.filesets import NativeFiles
from headgate.pipelines import Step
from headgate.runs.attempt import Attempt
from headgate.runs.source_states import setting_of

Values: TypeAlias = Mapping[str, str | None]


class TextRecords:
    """Reads texts by where they stood. Looks at the step's files when it is first asked."""

    def __init__(self, attempt: Attempt, step: Step | None) -> None:
        self._attempt = attempt
        self._step = step
        self._parts: Mapping[str, NativeFiles] | None = None
        self._trouble = "its source tells no columns of a text"

    def values(self, position: str | None, text: str) -> Values | str:
        """Give a text's values by column; or why there are none."""
        shown = (position or "").rpartition(":")[0]
        part = self._files().get(shown)
        if part is None:
            return _json_trouble(text) or self._trouble
        return record_values(text, part.options)

    def _files(self) -> Mapping[str, NativeFiles]:
        if self._parts is None:
            try:
                self._parts = self._found()
            except HeadgateError as error:
                self._trouble = f"its file cannot be asked for its columns: {error.message}"
                self._parts = {}
        return self._parts

    def _found(self) -> Mapping[str, NativeFiles]:
        step = self._step
        if step is None or step.source is None or step.function is not None:
            return {}
        setting = setting_of(self._attempt, step)
        source = self._attempt.wiring.source(step.source.kind, step.source.options, setting)
        with closing(source):
            native = source.native(None)
            if native is None or native.files is None:
                return {}
            return {
                part.shown.get(path, path): part
                for part in native.files.parts
                for path in part.paths
                if part.format == "csv"
            }


def _json_trouble(text: str) -> str | None:
    """Say why a text that begins like a JSON object is none; None where it does not begin so."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {error}"
    return None


def record_values(text: str, options: Mapping[str, object]) -> Values | str:
    """Give the values of one CSV record by column; or why it has none."""
    columns = options.get("columns")
    names = list(cast("Mapping[str, str]", columns)) if isinstance(columns, Mapping) else []
    quote = str(options.get("quote") or '"')
    escape = str(options.get("escape") or quote)
    try:
        rows = list(
            csv.reader(
                text.splitlines(keepends=True),
                delimiter=str(options.get("delimiter") or ","),
                quotechar=quote,
                doublequote=escape == quote,
                escapechar=None if escape == quote else escape,
                strict=True,
            )
        )
    except csv.Error as error:
        return f"it is no CSV: {error}"
    if len(rows) != 1:
        return f"it is {len(rows)} records"
    [fields] = rows
    if len(fields) != len(names):
        return f"it has {len(fields)} fields, and the file {len(names)} columns"
    given = options.get("null")
    nulls = tuple(cast("Sequence[str]", given)) if isinstance(given, (tuple, list)) else ("",)
    values = {n: None if f in nulls else f for n, f in zip(names, fields, strict=True)}
    chosen = cast("Mapping[str, str] | None", options.get("select"))
    return values if not chosen else {name: values[there] for name, there in chosen.items()}

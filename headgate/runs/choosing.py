"""Rows of a quarantine, chosen by the check they violate and by a condition on the row as it came.

The condition sees the payload's values as columns, and what quarantine says of the row under names
that begin with ``_``: ``_position``, ``_checks``, ``_attempt``, ``_run``, ``_step``,
``_quarantined_at``, ``_id``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import pyarrow as pa

from headgate.engines import Session, Sql
from headgate.errors import Refused
from headgate.filesets import Scan
from headgate.names import literal, quote
from headgate.pipelines import condition
from headgate.runs.choices import Choice
from headgate.runs.quarantine import ID, SCHEMA

_ALL: Final = "_hg_quarantined"
_SAID: Final = ("position", "checks", "attempt", "run", "step", "quarantined_at", ID)

Types: TypeAlias = Mapping[str, object]


class Chosen:
    """The chosen rows of a quarantine, and the columns that their payloads have."""

    def __init__(self, session: Session, scan: Scan, choice: Choice) -> None:
        self._session = session
        self._choice = choice
        missing = [field.name for field in SCHEMA if field.name not in scan.schema.names]
        shown = [quote(field.name) for field in SCHEMA if field.name not in missing]
        nulls = [f"NULL::varchar as {quote(name)}" for name in missing]
        session.bind({_ALL: scan})
        because = choice.because
        condition = f" where list_contains(checks, {literal(because)})" if because else ""
        self._rows = f"select {', '.join([*shown, *nulls])} from {_ALL}{condition}"

    def rows(self) -> pa.Table:
        """Give the rows, in the quarantine's schema.

        Raises:
            Refused: ``quarantine-without-ids``.
        """
        text = self._filtered(", ".join(f"_hg.{quote(name)}" for name in SCHEMA.names))
        found = self._session.reader(Sql(text=text)).read_all().cast(SCHEMA)
        if found.column(ID).null_count:
            raise Refused(
                "quarantine-without-ids",
                f"Rows in the quarantine of {self._choice.table} were set aside before rows had "
                "ids: nobody can say which of two equal ones came back.",
                hint="Let the pipeline set them aside anew:  headgate run --force",
                table=self._choice.table,
            )
        return found

    def computed(self, expressions: Mapping[str, str]) -> pa.Table:
        """Give the rows with a further column for each expression over a payload's values."""
        items = [f"_hg.{quote(name)}" for name in SCHEMA.names]
        items += [f"{sql} as {quote(name)}" for name, sql in expressions.items()]
        return self._session.reader(Sql(text=self._filtered(", ".join(items)))).read_all()

    def columns(self) -> tuple[str, ...]:
        """Give the names that conditions and expressions can use."""
        return (*self._types(), *(f"_{name}" for name in _SAID))

    def payload_columns(self) -> tuple[str, ...]:
        """Give the names that the payloads have."""
        return tuple(self._types())

    def _filtered(self, shown: str) -> str:
        said = ", ".join(f"{quote(name)} as {quote('_' + name)}" for name in _SAID)
        types = json.dumps(self._types())
        whole = f"_hg as (select * from ({self._rows}))"
        if not self._types():
            return f"with {whole} select {shown} from _hg where false"
        expanded = f"select _hg, {said}, unnest(from_json(payload, {literal(types)})) from _hg"
        where = ""
        if self._choice.where is not None:
            what = f"the quarantine of {self._choice.table}"
            where = f" where {condition(self._choice.where, self.columns(), what=what)}"
        return f"with {whole} select {shown} from ({expanded}){where}"

    def _types(self) -> Types:
        found = self._session.scalars(
            f"select json_group_structure(payload::json)::varchar as types from ({self._rows})"
        )["types"]
        types = json.loads(str(found)) if found is not None else {}
        return {name: _plain(kind) for name, kind in types.items()} if types else {}


def _plain(kind: object) -> object:
    """Give a type for people's SQL: what is now this and now that is a text."""
    if isinstance(kind, Mapping):
        return {name: _plain(inner) for name, inner in kind.items()}
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        return [_plain(inner) for inner in kind]
    return "VARCHAR" if kind in {"JSON", "NULL"} else kind

"""Rows as one query: its text, ready to run, and the parameters it names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from headgate.engines.bindings import Bindings
from headgate.engines.engine import NativeFiles, Scan, Sql
from headgate.engines.parquet_files import refuse_colliding_names
from headgate.engines.raw_files import raw_query
from headgate.engines.scans import scan_query
from headgate.errors import Invalid

_PARAMETER = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """SQL that runs on a session's connection; the tables it names are there."""

    text: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def parameters_or_none(self) -> dict[str, object] | None:
        """The parameters as DuckDB takes them: it refuses an empty mapping."""
        return dict(self.parameters) or None


def query_of(rows: Sql | NativeFiles | Scan, bindings: Bindings) -> Query:
    """Give rows as a query, its tables made ready.

    Raises:
        Invalid: ``sql-is-no-query``.
    """
    if isinstance(rows, Scan):
        bindings.reaching.add(rows.store)
        return Query(text=scan_query(rows))
    if isinstance(rows, NativeFiles):
        return Query(text=raw_query(rows))
    text = bindings.ready(one_query(rows.text))
    named = set(_PARAMETER.findall(text))
    return Query(
        text=text,
        parameters={name: value for name, value in rows.parameters.items() if name in named},
    )


def schema_of(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Schema:
    """Give the columns a query would yield; computes no row."""
    nothing = connection.sql(
        f"select * from ({query.text}\n) limit 0", params=query.parameters_or_none
    )
    return nothing.to_arrow_table().schema


def refuse_renamed_columns(connection: duckdb.DuckDBPyConnection, query: Query) -> None:
    """Refuse a query two of whose columns have one name: DuckDB would rename the second in silence.

    Raises:
        Invalid: ``ambiguous-column-name``.
    """
    refuse_colliding_names(connection.sql(query.text, params=query.parameters_or_none).columns)


def one_query(text: str) -> str:
    """Give the text without its closing semicolon.

    Raises:
        Invalid: ``sql-is-no-query``.
    """
    statements = duckdb.extract_statements(text)
    kinds = [str(statement.type).rpartition(".")[2] for statement in statements]
    if len(kinds) != 1 or kinds[0] not in {"SELECT", "MULTI"}:
        found = " and ".join(kinds) if kinds else "nothing"
        raise Invalid(
            "sql-is-no-query",
            f"One query is wanted; the SQL holds {found}.",
            hint="Leave one SELECT.",
            found=kinds,
        )
    raw = text.encode()
    cut = len(raw)
    for offset, kind in reversed(duckdb.tokenize(text)):
        if kind == duckdb.token_type.comment:
            continue
        if raw[offset : offset + 1] != b";":
            break
        cut = offset
    return raw[:cut].decode()

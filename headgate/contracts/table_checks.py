"""Questions to a table that is already written: what an engine must count for a verdict.

At most two passes over a table: one per key or reference, which reads their columns only, and one that reads
the rest. Examples are asked for afterwards, and only for what was violated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headgate.contracts import checks
from headgate.contracts.duckdb_sql import sql
from headgate.contracts.expressions import columns_of
from headgate.contracts.judging import MAX_EXAMPLES, Measure
from headgate.contracts.key_checks import duplicate_keys, missing_parents, relation
from headgate.contracts.layouts import Schema, unanswerable
from headgate.contracts.row_checks import violation
from headgate.contracts.row_masks import mask_sql
from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import DATE, INSTANTS
from headgate.masks import MASK_BITS
from headgate.names import quote

_SHOWN = 6
ROW_COUNT = "_rows"
"""The name under which the scan's answer has the number of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query of one row, and what its columns mean.

    ``reads`` names the lake's tables it looks into. ``checks`` are those it answers.
    """

    sql: str
    reads: tuple[str, ...]
    checks: tuple[str, ...]
    masks: tuple[tuple[str, ...], ...] = ()
    counts: Mapping[str, str] | None = None
    measured: Mapping[str, str] | None = None
    shares: Mapping[str, str] | None = None

    def read(self, answer: Mapping[str, object]) -> Mapping[str, Measure]:
        """Understand the row the query gave."""
        found: dict[str, Measure] = {}
        for name, column in (self.counts or {}).items():
            found[name] = Measure(violations=_whole(answer[column]))
        for name, column in (self.measured or {}).items():
            value = answer[column]
            found[name] = Measure(measured=None if value is None else _whole(value))
        for name, column in (self.shares or {}).items():
            rows = _whole(answer[ROW_COUNT])
            found[name] = Measure(measured=_whole(answer[column]) / rows if rows else None)
        for word, names in enumerate(self.masks):
            total = [0] * len(names)
            for mask, count in _pairs(answer[f"_mask_{word}"]):
                for bit in range(len(names)):
                    if mask >> bit & 1:
                        total[bit] += count
            found.update((n, Measure(violations=t)) for n, t in zip(names, total, strict=True))
        return found

    def rows(self, answer: Mapping[str, object]) -> int | None:
        """Give the number of rows the table has, where this question counted them."""
        return _whole(answer[ROW_COUNT]) if ROW_COUNT in answer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleQuestion:
    """A query of up to five rows that violate a check."""

    check: str
    sql: str
    reads: tuple[str, ...]


def questions(
    spec: ContractSpec,
    table: str,
    *,
    schema: Schema,
    tables: Mapping[str, Schema],
    only: Collection[str] | None = None,
    rows: str | None = None,
) -> tuple[Question, ...]:
    """Give the questions that decide a contract for a table, the cheap scan first.

    Args:
        spec: the contract.
        table: the table's name, under which an engine knows it.
        schema: the table's columns and their type texts.
        tables: the same for the tables there are that the contract refers to.
        only: the checks to ask about; default: all.
        rows: the name of a relation to ask instead of the table: the rows that were added.
    """
    cannot = unanswerable(spec, schema, tables)
    wanted = [
        check
        for check in spec.checks
        if check.name not in cannot and (only is None or check.name in only)
    ]
    source = relation(rows or table)
    asked: list[Question] = []
    scanned = [check for check in wanted if not isinstance(check, checks.KeyCheck)]
    if scanned:
        asked.append(_scan(spec, table, source, scanned))
    for check in wanted:
        if isinstance(check, checks.KeyCheck):
            text, reads = _keys(check, table, source)
            asked.append(
                Question(
                    sql=text, reads=reads, checks=(check.name,), counts={check.name: "violations"}
                )
            )
    return tuple(asked)


def _scan(spec: ContractSpec, table: str, source: str, wanted: Sequence[checks.Check]) -> Question:
    """Give the one scan: rows by mask, and what table checks measure, folded into one row."""
    row_checks = [c for c in wanted if isinstance(c, checks.RowCheck)]
    words = [row_checks[at : at + MASK_BITS] for at in range(0, len(row_checks), MASK_BITS)]
    inner = [
        f"{mask_sql([sql(violation(check, spec.kinds)) for check in word])} AS _mask_{number}"
        for number, word in enumerate(words)
    ]
    folds, outer = ["count(*) AS n"], ["CAST(coalesce(sum(n), 0) AS BIGINT) AS " + ROW_COUNT]
    outer += [
        f"list({{'mask': _mask_{w}, 'rows': n}}) FILTER (_mask_{w} <> 0) AS _mask_{w}"
        for w in range(len(words))
    ]
    measured: dict[str, str] = {}
    shares: dict[str, str] = {}
    read: list[str] = []
    for number, check in enumerate(wanted):
        match check:
            case checks.Rows():
                measured[check.name] = ROW_COUNT
            case checks.Completeness(column=column):
                read.append(column)
                folds.append(f"count({quote(column)}) AS _known_{number}")
                outer.append(
                    f"CAST(coalesce(sum(_known_{number}), 0) AS BIGINT) AS _known_{number}"
                )
                shares[check.name] = f"_known_{number}"
            case checks.Freshness(column=column):
                read.append(column)
                folds.append(f"max({quote(column)}) AS _newest_{number}")
                outer.append(f"epoch_us({_instant(spec, column, number)}) AS _newest_{number}")
                measured[check.name] = f"_newest_{number}"
            case _:
                pass
    masks = [f"_mask_{word}" for word in range(len(words))]
    columns = ", ".join([*inner, *(quote(column) for column in dict.fromkeys(read))]) or "1"
    group = f" GROUP BY {', '.join(masks)}" if masks else ""
    text = (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join([*masks, *folds])} "
        f"FROM (SELECT {columns} FROM {source}){group})"
    )
    return Question(
        sql=text,
        reads=(table,),
        checks=tuple(check.name for check in wanted),
        masks=tuple(tuple(check.name for check in word) for word in words),
        measured=measured,
        shares=shares,
    )


def _instant(spec: ContractSpec, column: str, number: int) -> str:
    newest = f"max(_newest_{number})"
    if spec.kinds[column] == DATE:
        return f"CAST({newest} AS TIMESTAMP)"
    if spec.kinds[column] not in INSTANTS:
        raise AssertionError(column)
    return newest


def _keys(check: checks.KeyCheck, table: str, source: str) -> tuple[str, tuple[str, ...]]:
    """Give the count of rows whose key is taken twice, or that refer to nothing."""
    columns = ", ".join(quote(column) for column in check.columns)
    known = " AND ".join(f"{quote(column)} IS NOT NULL" for column in check.columns)
    if isinstance(check, checks.Unique):
        twice = f"SELECT count(*) AS n FROM {source} WHERE {known} GROUP BY {columns} HAVING count(*) > 1"
        return f"SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS violations FROM ({twice})", (table,)
    parent = relation(check.table)
    pairs = zip(check.columns, check.parent_columns, strict=True)
    same = " AND ".join(f"c.{quote(column)} = p.{quote(target)}" for column, target in pairs)
    grouped = f"SELECT {columns}, count(*) AS n FROM {source} WHERE {known} GROUP BY {columns}"
    text = (
        f"SELECT CAST(coalesce(sum(c.n), 0) AS BIGINT) AS violations "
        f"FROM ({grouped}) AS c ANTI JOIN {parent} AS p ON {same}"
    )
    return text, (table, check.table)


def example_questions(
    spec: ContractSpec,
    table: str,
    measures: Mapping[str, Measure],
    *,
    schema: Schema,
    rows: str | None = None,
) -> tuple[ExampleQuestion, ...]:
    """Ask for examples of what was violated and has none yet; the answers go into the measures."""
    source = relation(rows or table)
    asked: list[ExampleQuestion] = []
    for name, measure in measures.items():
        check = spec.by_name.get(name)
        if check is None or not measure.violations or measure.examples:
            continue
        shown = ", ".join(f"r.{quote(column)}" for column in _shown(spec, check, schema))
        reads: tuple[str, ...] = (table,)
        match check:
            case checks.Unique(columns=columns):
                condition = _joined(columns, duplicate_keys(check, source), kind="SEMI")
                order = " ORDER BY " + ", ".join(f"r.{quote(c)}" for c in columns)
            case checks.References(columns=columns):
                condition = _joined(
                    columns, missing_parents(check, source, relation(check.table)), kind="SEMI"
                )
                order, reads = "", (table, check.table)
            case checks.Rows() | checks.Freshness() | checks.Completeness():
                continue
            case _:
                rename = {column: f"r.{quote(column)}" for column in spec.kinds}
                condition = f"WHERE {sql(violation(check, spec.kinds), rename)}"
                order = ""
        text = f"SELECT {shown} FROM {source} AS r {condition}{order} LIMIT {MAX_EXAMPLES}"
        asked.append(ExampleQuestion(check=name, sql=text, reads=reads))
    return tuple(asked)


def _joined(columns: Sequence[str], wrong: str, *, kind: str) -> str:
    same = " AND ".join(f"r.{quote(column)} = w.{quote(column)}" for column in columns)
    return f"{kind} JOIN ({wrong}) AS w ON {same}"


def _shown(spec: ContractSpec, check: checks.Check, schema: Schema) -> list[str]:
    """Give the columns of an example: what the check reads first, then the keys, then some others."""
    keys = [c for other in spec.checks if isinstance(other, checks.Unique) for c in other.columns]
    reads = check.reads
    if isinstance(check, checks.Expression):
        reads = columns_of(violation(check, spec.kinds))
    names = dict.fromkeys((*reads, *keys, *spec.kinds))
    return [name for name in names if name in schema][: max(_SHOWN, len(reads))]


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _pairs(value: object) -> list[tuple[int, int]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(value)
    return [(_whole(pair["mask"]), _whole(pair["rows"])) for pair in value]

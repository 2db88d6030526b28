"""Questions to a table that is already written: what an engine must count for a verdict.

At most two passes over a table: one per key or reference, which reads their columns only, and one
that reads the rest. Examples come with the counts: no pass more, however many checks are violated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from headgate.contracts import checks
from headgate.contracts.duckdb_sql import sql
from headgate.contracts.examples import Example, as_json, example_sql
from headgate.contracts.expressions import columns_of
from headgate.contracts.judging import MAX_EXAMPLES, Measure
from headgate.contracts.key_checks import relation
from headgate.contracts.layouts import Schema, unanswerable
from headgate.contracts.row_checks import violation
from headgate.contracts.row_masks import mask_sql
from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import DATE
from headgate.masks import MASK_BITS
from headgate.names import quote

ROW_COUNT = "_rows"
"""The name under which the scan's answer has the number of rows."""

SHOWN_COLUMNS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query of one row, and what its columns mean.

    ``reads`` names the lake's tables it looks into, ``checks`` those it answers. The other fields
    say where in the row each check's answer is: ``counts`` violations, ``measured`` a number,
    ``shares`` known values among the rows, ``masks`` the checks of each mask, bit by bit, and
    ``shown`` the columns of a check's examples.
    """

    sql: str
    reads: tuple[str, ...]
    checks: tuple[str, ...]
    counts: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    masks: tuple[tuple[str, ...], ...] = ()
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def read(self, answer: Mapping[str, object]) -> Mapping[str, Measure]:
        """Understand the row the query gave."""
        found: dict[str, Measure] = {}
        for name, column in self.counts.items():
            examples = tuple(as_json(row) for row in _mappings(answer["examples"]))
            found[name] = Measure(violations=_whole(answer[column]), examples=examples)
        for name, column in self.measured.items():
            value = answer[column]
            found[name] = Measure(measured=None if value is None else _whole(value))
        for name, column in self.shares.items():
            rows = _whole(answer[ROW_COUNT])
            found[name] = Measure(measured=_whole(answer[column]) / rows if rows else None)
        for word, names in enumerate(self.masks):
            found.update(self._unmasked(names, _mappings(answer[f"_mask_{word}"])))
        return found

    def rows(self, answer: Mapping[str, object]) -> int | None:
        """Give the number of rows the table has, where this question counted them."""
        return _whole(answer[ROW_COUNT]) if ROW_COUNT in answer else None

    def _unmasked(
        self, names: tuple[str, ...], masked: Sequence[Mapping[str, object]]
    ) -> Mapping[str, Measure]:
        """Take rows by mask apart, check by check."""
        total = dict.fromkeys(names, 0)
        examples: dict[str, list[Example]] = {name: [] for name in names}
        for part in masked:
            mask, count = _whole(part["mask"]), _whole(part["rows"])
            rows = [as_json(row) for row in _mappings(part["examples"])]
            for bit, name in enumerate(names):
                if mask >> bit & 1:
                    total[name] += count
                    examples[name] += [{c: row[c] for c in self.shown[name]} for row in rows]
        return {
            name: Measure(violations=total[name], examples=tuple(examples[name][:MAX_EXAMPLES]))
            for name in names
        }


def questions(
    spec: ContractSpec,
    table: str,
    *,
    schema: Schema,
    tables: Mapping[str, Schema],
    only: Collection[str] | None = None,
    rows: str | None = None,
) -> tuple[Question, ...]:
    """Give the questions that decide a contract for a table, the scan first.

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
    scanned = [check for check in wanted if not isinstance(check, checks.KeyCheck)]
    asked = [_scan(spec, table, source, scanned)] if scanned else []
    asked += [
        _key_question(spec, check, table, source)
        for check in wanted
        if isinstance(check, checks.KeyCheck)
    ]
    return tuple(asked)


def _scan(spec: ContractSpec, table: str, source: str, wanted: Sequence[checks.Check]) -> Question:
    """Give the one scan: rows by mask, and what table checks measure, folded into one row."""
    row_checks = [check for check in wanted if isinstance(check, checks.RowCheck)]
    trees = {check.name: violation(check, spec.kinds) for check in row_checks}
    words = [row_checks[at : at + MASK_BITS] for at in range(0, len(row_checks), MASK_BITS)]
    masks = [f"_mask_{word}" for word in range(len(words))]
    shown = {name: _shown(spec, columns_of(tree)) for name, tree in trees.items()}
    read = dict.fromkeys(column for columns in shown.values() for column in columns)
    folds, outer = ["count(*) AS n"], [f"CAST(coalesce(sum(n), 0) AS BIGINT) AS {ROW_COUNT}"]
    if words:
        bad = " OR ".join(f"{mask} <> 0" for mask in masks)
        values = ", ".join(f"{quote(c)}: {example_sql(quote(c), spec.kinds[c])}" for c in read)
        folds.append(
            f"arg_min(CASE WHEN {bad} THEN {{{values}}} END, 0, {MAX_EXAMPLES}) FILTER ({bad}) AS e"
        )
    outer += [
        f"list({{'mask': {mask}, 'rows': n, 'examples': e}}) FILTER ({mask} <> 0) AS {mask}"
        for mask in masks
    ]
    measured: dict[str, str] = {}
    shares: dict[str, str] = {}
    for number, check in enumerate(wanted):
        match check:
            case checks.Rows() | checks.RowsChange():
                measured[check.name] = ROW_COUNT
            case checks.Completeness(column=column) | checks.CompletenessChange(column=column):
                read[column] = None
                folds.append(f"count({quote(column)}) AS _known_{number}")
                outer.append(
                    f"CAST(coalesce(sum(_known_{number}), 0) AS BIGINT) AS _known_{number}"
                )
                shares[check.name] = f"_known_{number}"
            case checks.Freshness(column=column):
                read[column] = None
                folds.append(f"max({quote(column)}) AS _newest_{number}")
                outer.append(f"epoch_us({_instant(spec, column, number)}) AS _newest_{number}")
                measured[check.name] = f"_newest_{number}"
            case _:
                pass
    inner = [
        f"{mask_sql([sql(trees[check.name]) for check in word])} AS {mask}"
        for mask, word in zip(masks, words, strict=True)
    ]
    columns = ", ".join([*inner, *(quote(column) for column in read)]) or "1"
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
        shown=shown,
    )


def _instant(spec: ContractSpec, column: str, number: int) -> str:
    newest = f"max(_newest_{number})"
    return f"CAST({newest} AS TIMESTAMP)" if spec.kinds[column] == DATE else newest


def _shown(spec: ContractSpec, read: Sequence[str]) -> tuple[str, ...]:
    """Give the columns of a check's examples: what it reads, and the key that finds the row."""
    keys = [c for check in spec.checks if isinstance(check, checks.Unique) for c in check.columns]
    return tuple(dict.fromkeys((*read, *keys)))[: max(SHOWN_COLUMNS, len(read))]


def _key_question(spec: ContractSpec, check: checks.KeyCheck, table: str, source: str) -> Question:
    """Give the count of rows whose key is taken twice, or that refer to nothing.

    An example is a key and how many rows have it.
    """
    columns = ", ".join(quote(column) for column in check.columns)
    known = " AND ".join(f"{quote(column)} IS NOT NULL" for column in check.columns)
    grouped = f"SELECT {columns}, count(*) AS n FROM {source} WHERE {known} GROUP BY {columns}"
    reads: tuple[str, ...] = (table,)
    if isinstance(check, checks.Unique):
        wrong = f"({grouped} HAVING count(*) > 1) AS c"
    else:
        pairs = zip(check.columns, check.parent_columns, strict=True)
        same = " AND ".join(f"c.{quote(column)} = p.{quote(target)}" for column, target in pairs)
        wrong = f"({grouped}) AS c ANTI JOIN {relation(check.table)} AS p ON {same}"
        reads = (table, check.table)
    values = [f"{quote(c)}: {example_sql(f'c.{quote(c)}', spec.kinds[c])}" for c in check.columns]
    count = "rows" if "rows" not in check.columns else "_rows"
    example = f"{{{', '.join(values)}, {quote(count)}: c.n}}"
    first = f"c.{quote(check.columns[0])}"
    text = (
        f"SELECT CAST(coalesce(sum(c.n), 0) AS BIGINT) AS violations, "
        f"arg_min({example}, {first}, {MAX_EXAMPLES}) AS examples FROM {wrong}"
    )
    return Question(sql=text, reads=reads, checks=(check.name,), counts={check.name: "violations"})


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _mappings(value: object) -> list[Mapping[str, object]]:
    return list(value) if isinstance(value, list) else []

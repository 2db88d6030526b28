"""Questions about the keys that changed: what keys and references are judged by after a change.

First the changed keys are asked for, each with how many rows with it came (``a``) and went (``r``);
they become small relations. Then what they meet in the rest of the tables is counted. All names of
relations are the caller's; all keys are without NULL, which is nobody's duplicate and refers to
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headgate.contracts import checks
from headgate.contracts.examples import as_json, example_sql
from headgate.contracts.judging import MAX_EXAMPLES, Measure
from headgate.contracts.specs import ContractSpec
from headgate.names import quote

Which: TypeAlias = Literal["changed", "grown", "turned", "lost"]
_WHICH: Mapping[Which, str] = {
    "changed": "a <> r",
    "grown": "a > r",
    "turned": "(a = 0) <> (r = 0)",
    "lost": "a = 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuestion:
    """A query of one row: ``now`` violations among the changed keys, ``was`` before."""

    sql: str

    def measure(self, before: Measure, answer: Mapping[str, object], *, removed: bool) -> Measure:
        """Give the check's measure for the whole table; ``removed``: rows went, too."""
        now, was = answer["now"], answer["was"]
        if not isinstance(now, int) or not isinstance(was, int):
            raise TypeError(answer)
        shown = answer["examples"]
        found = tuple(as_json(row) for row in shown) if isinstance(shown, list) else ()
        violations = before.violations + now - was
        if not removed:
            found += before.examples
        return Measure(violations=violations, examples=found if violations else ())


def changed_keys(
    columns: Sequence[str],
    added: str | None,
    removed: str | None,
    *,
    which: Which,
    limit: int | None = None,
) -> str:
    """Give the query for the keys in rows that came or went, with ``a`` and ``r``.

    Whoever gives a ``limit`` looks whether it was reached: a part of the keys decides nothing.

    ``changed`` are those whose number of rows differs, ``grown`` those with more rows than before.
    ``turned`` keys only rows that came hold, or only rows that went; ``lost`` ones only the latter:
    rows that stayed may hold them all the same.
    """
    parts = [
        f"SELECT {_as_keys(columns)}, {int(came)} AS a, {int(not came)} AS r FROM {rows} "
        f"WHERE {_known(columns)}"
        for rows, came in ((added, True), (removed, False))
        if rows is not None
    ]
    keys = _keys(len(columns))
    end = "" if limit is None else f" LIMIT {limit}"
    return (
        f"SELECT * FROM (SELECT {keys}, CAST(sum(a) AS BIGINT) AS a, CAST(sum(r) AS BIGINT) AS r "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}) WHERE {_WHICH[which]}{end}"
    )


def taken_keys(
    columns: Sequence[str],
    removed: str,
    deleted: Sequence[tuple[str, Sequence[str]]],
    *,
    limit: int,
) -> str:
    """Give the query for the keys of rows that deletions took, as ``changed_keys`` gives them.

    Each deletion is a predicate over the rows, or a relation of keys and the columns of its key.
    """
    found = [
        f"EXISTS (SELECT 1 FROM {what} AS i WHERE "
        + " AND ".join(f"i.{quote(c)} = h.{quote(c)}" for c in key)
        + ")"
        if key
        else f"({what})"
        for what, key in deleted
    ]
    return (
        f"SELECT DISTINCT {_as_keys(columns)}, CAST(0 AS BIGINT) AS a, CAST(1 AS BIGINT) AS r "
        f"FROM {removed} AS h WHERE {_known(columns)} AND ({' OR '.join(found)}) LIMIT {limit}"
    )


def unique_question(
    spec: ContractSpec, check: checks.Unique, *, changed: str, kept: str, doubled_before: bool
) -> KeyQuestion:
    """Count the rows of doubled keys among the changed ones, now and before.

    ``kept`` holds every row of these keys that ``a`` does not count. Unless keys may have been
    ``doubled_before``, nothing is counted for then.
    """
    width = len(check.columns)
    was = "coalesce(sum(CASE WHEN c + r > 1 THEN c + r END), 0)" if doubled_before else "0"
    met = (
        f"SELECT {_keys(width)}, count(*) AS c FROM (SELECT {_as_keys(check.columns)} FROM {kept}) "
        f"SEMI JOIN changed USING ({_keys(width)}) GROUP BY {_keys(width)}"
    )
    return KeyQuestion(
        sql=(
            f"WITH changed AS MATERIALIZED (SELECT * FROM {changed}) "
            f"SELECT CAST(coalesce(sum(CASE WHEN c + a > 1 THEN c + a END), 0) AS BIGINT) AS now, "
            f"CAST({was} AS BIGINT) AS was, "
            f"arg_min({_example(spec, check, 'c + a')}, k_0, {MAX_EXAMPLES}) "
            f"FILTER (c + a > 1) AS examples "
            f"FROM (SELECT d.*, coalesce(m.c, 0) AS c FROM changed AS d "
            f"LEFT JOIN ({met}) AS m USING ({_keys(width)}))"
        )
    )


def orphans_question(
    spec: ContractSpec, check: checks.References, *, changed: str, parents: str
) -> KeyQuestion:
    """Count the children among the changed keys that have no parent: ``now`` less those that went.

    ``parents`` holds every parent with one of these keys, as it is now.
    """
    keys = _keys(len(check.columns))
    there = f"SELECT {_as_keys(check.parent_columns)} FROM {parents}"
    return KeyQuestion(
        sql=(
            f"SELECT CAST(coalesce(sum(a - r), 0) AS BIGINT) AS now, CAST(0 AS BIGINT) AS was, "
            f"arg_min({_example(spec, check, 'a')}, k_0, {MAX_EXAMPLES}) "
            f"FILTER (a > r) AS examples "
            f"FROM (SELECT * FROM {changed} ANTI JOIN ({there}) USING ({keys}))"
        )
    )


def bereft_question(
    spec: ContractSpec,
    check: checks.References,
    *,
    turned: str,
    kept_parents: str,
    children_now: str,
    children_before: str | None,
) -> KeyQuestion:
    """Count the children whose parents went (now), and those whose parents came (was).

    ``turned`` holds the parents' keys that only came or only went; ``kept_parents`` the parents
    that stayed, ``children_now`` and ``children_before`` the children, of these keys.
    """
    keys = _keys(len(check.columns))
    there = f"SELECT {_as_keys(check.parent_columns)} FROM {kept_parents}"
    really = f"SELECT * FROM {turned} ANTI JOIN ({there}) USING ({keys})"
    return KeyQuestion(
        sql=(
            f"WITH turned AS MATERIALIZED ({really}), "
            f"lost AS (SELECT {keys}, count(*) AS n FROM "
            f"(SELECT {_as_keys(check.columns)} FROM {children_now}) "
            f"SEMI JOIN (SELECT {keys} FROM turned WHERE a = 0) USING ({keys}) GROUP BY {keys}) "
            f"SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS now, "
            f"{_came_back(check, children_before)} AS was, "
            f"arg_min({_example(spec, check, 'n')}, k_0, {MAX_EXAMPLES}) AS examples FROM lost"
        )
    )


def settled_keys(changed: str, turned: str, kept_parents: str, check: checks.References) -> str:
    """Give the changed children's keys without those whose parents came or went."""
    keys = _keys(len(check.columns))
    there = f"SELECT {_as_keys(check.parent_columns)} FROM {kept_parents}"
    really = f"SELECT * FROM {turned} ANTI JOIN ({there}) USING ({keys})"
    return f"(SELECT * FROM {changed} ANTI JOIN ({really}) USING ({keys}))"


def _came_back(check: checks.References, children_before: str | None) -> str:
    if children_before is None:
        return "CAST(0 AS BIGINT)"
    keys = _keys(len(check.columns))
    return (
        f"(SELECT count(*) FROM (SELECT {_as_keys(check.columns)} FROM {children_before}) "
        f"SEMI JOIN (SELECT {keys} FROM turned WHERE r = 0) USING ({keys}))"
    )


def _example(spec: ContractSpec, check: checks.KeyCheck, count: str) -> str:
    values = [
        f"{quote(column)}: {example_sql(f'k_{number}', spec.kinds[column])}"
        for number, column in enumerate(check.columns)
    ]
    name = "rows" if "rows" not in check.columns else "_rows"
    return f"{{{', '.join(values)}, {quote(name)}: {count}}}"


def _as_keys(columns: Sequence[str]) -> str:
    return ", ".join(f"{quote(column)} AS k_{number}" for number, column in enumerate(columns))


def _keys(width: int) -> str:
    return ", ".join(f"k_{number}" for number in range(width))


def _known(columns: Sequence[str]) -> str:
    return " AND ".join(f"{quote(column)} IS NOT NULL" for column in columns)

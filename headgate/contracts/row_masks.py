"""Masks for rows that come in: one integer per row that says which checks it violates."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headgate.contracts import checks
from headgate.contracts.duckdb_sql import sql
from headgate.contracts.flags import Flag
from headgate.contracts.judging import Measure
from headgate.contracts.key_checks import (
    duplicate_keys,
    found_in,
    missing_parents,
    not_kept,
    relation,
)
from headgate.contracts.layouts import Schema, parent_problem
from headgate.contracts.row_checks import violation
from headgate.contracts.specs import ContractSpec
from headgate.masks import MASK_BITS, ROWS, MaskQuery
from headgate.names import quote
from headgate.verdicts import Severity

if TYPE_CHECKING:
    from headgate.contracts.casts import CastPlan

_NO_BITS = "CAST(0 AS BIGINT)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestMask:
    """A mask, and how what an engine answers is understood.

    ``groups`` holds, bit by bit, the checks the bit stands for: one each, unless more than 63
    checks send rows to quarantine. ``left`` names the checks the mask does not decide: ask them of
    the table.
    """

    query: MaskQuery
    groups: tuple[tuple[str, ...], ...]
    left: tuple[str, ...]

    def measures(
        self,
        violations: Mapping[str, int],
        examples: Mapping[str, Sequence[Mapping[str, object]]] | None = None,
    ) -> Mapping[str, Measure]:
        """Give what is known of the accepted rows from an engine's counts while it wrote them.

        Valid for ``judge`` where those rows are the whole table. Quarantined rows are not in it:
        their checks have no violations left.
        """
        found: dict[str, Measure] = {}
        for bit, (label, names) in enumerate(zip(self.query.names, self.groups, strict=True)):
            quarantined = bool(self.query.quarantine_bits >> bit & 1)
            count = 0 if quarantined else violations.get(label, 0)
            shown = () if quarantined else tuple((examples or {}).get(label, ()))
            found.update((name, Measure(violations=count, examples=shown)) for name in names)
        return found


def ingest_mask(
    spec: ContractSpec,
    available: Iterable[str],
    *,
    casts: "CastPlan | None" = None,
    parents: Mapping[str, Schema] | None = None,
    existing: str | None = None,
    whole: bool = True,
    upsert_by: Collection[str] = (),
) -> IngestMask:
    """Give the mask for rows that are about to be written.

    Args:
        spec: the contract.
        available: the columns of the rows, after casting, all of them.
        casts: how raw columns became these; its failures are part of the mask.
        parents: the tables that references can look into now, with columns and type texts; an
            engine knows them by these names. References into others are left for the table.
        existing: the table the rows are appended to; its keys count as taken.
        whole: whether the rows are all rows of the table. If not, and nothing ``existing`` is
            named, keys are left for the table.
        upsert_by: the key by which the rows take others' places: a rule about exactly this key that
            sets rows aside is decided among the rows alone.
    """
    columns = tuple(available)
    flags: list[Flag] = []
    preparations: dict[str, str] = {}
    left: list[str] = []
    for check in spec.checks:
        if isinstance(check, checks.TableCheck) or any(c not in columns for c in check.reads):
            left.append(check.name)
        elif isinstance(check, checks.Unique | checks.References):
            alone = whole or (
                check.severity is Severity.QUARANTINE and {*check.columns} == {*upsert_by}
            )
            made = _key_flag(
                spec, check, columns, parents or {}, existing, alone, len(preparations)
            )
            if made is None:
                left.append(check.name)
            else:
                flags.append(made[0])
                preparations.update(made[1])
        else:
            flags.append(Flag(check=check, sql=_row_flag(spec, check, casts)))
    flags += casts.flags if casts else ()
    quarantining = [f for f in flags if f.check.severity is Severity.QUARANTINE]
    others = [f for f in flags if f.check.severity is not Severity.QUARANTINE]
    room = max(MASK_BITS - len(quarantining), 0)
    left += [flag.check.name for flag in others[room:]]
    bits = [*_packed(quarantining), *((flag,) for flag in others[:room])]
    quarantine_bits = (1 << len(bits) - len(others[:room])) - 1
    used = {
        name: text
        for name, text in preparations.items()
        if any(quote(name) in f.sql for b in bits for f in b)
    }
    unread = {flag.check.column for flag in flags if isinstance(flag.check, checks.Typed)}
    query = MaskQuery(
        expression=mask_sql(
            [_any(group) for group in bits],
            first=_suspicions(bits, unread),
            apart=[
                number
                for number, group in enumerate(bits)
                if any(isinstance(flag.check, checks.KeyCheck) for flag in group)
            ],
        ),
        names=tuple(" or ".join(flag.check.name for flag in group) for group in bits),
        quarantine_bits=quarantine_bits,
        preparations=used,
    )
    groups = tuple(
        tuple(f.check.name for f in group if not isinstance(f.check, checks.Typed))
        for group in bits
    )
    return IngestMask(query=query, groups=groups, left=tuple(left))


def mask_sql(
    conditions: Sequence[str],
    *,
    first: Mapping[int, str] | None = None,
    apart: Collection[int] = (),
) -> str:
    """Give the integer whose bit i is set where condition i is true.

    Nearly all rows violate nothing: for them it is asked once if any condition is true, and no bit
    is made. ``first`` has what is asked then in the place of a condition: something that is true,
    too, wherever that is. Conditions ``apart``, windows and look-ups in other tables, are asked
    only once.
    """
    asked = {**dict(enumerate(conditions)), **(first or {})}
    bits = {
        number: f"CASE WHEN {condition} THEN CAST({1 << number} AS BIGINT) ELSE {_NO_BITS} END"
        for number, condition in enumerate(conditions)
    }
    parts = [bits[number] for number in sorted(apart)]
    near = [number for number in bits if number not in apart]
    if near:
        some = " OR ".join(dict.fromkeys(asked[number] for number in near))
        made = " | ".join(bits[number] for number in near)
        parts.append(f"CASE WHEN {some} THEN {made} ELSE {_NO_BITS} END")
    return f"({' | '.join(parts)})" if parts else _NO_BITS


def _suspicions(bits: Sequence[tuple[Flag, ...]], cast: Collection[str]) -> dict[int, str]:
    """Give what to ask first of columns that were cast: a value missing or unread is NULL now."""
    alone = {number: group[0].check for number, group in enumerate(bits) if len(group) == 1}
    required = {check.column for check in alone.values() if isinstance(check, checks.NotNull)}
    return {
        number: f"({quote(check.column)} IS NULL)"
        for number, check in alone.items()
        if isinstance(check, checks.NotNull | checks.Typed) and check.column in required & {*cast}
    }


def _row_flag(spec: ContractSpec, check: checks.RowCheck, casts: "CastPlan | None") -> str:
    if isinstance(check, checks.NotNull) and casts is not None:
        # A value that could not be read is NULL by now, and violates its own check only.
        return f"({casts.raw_texts.get(check.column, quote(check.column))} IS NULL)"
    return sql(violation(check, spec.kinds))


def _key_flag(
    spec: ContractSpec,
    check: checks.KeyCheck,
    columns: tuple[str, ...],
    parents: Mapping[str, Schema],
    existing: str | None,
    whole: bool,  # noqa: FBT001
    number: int,
) -> tuple[Flag, dict[str, str]] | None:
    """Give a key's or a reference's flag and preparation, None where it is not decided now."""
    if isinstance(check, checks.References):
        if parent_problem(check, spec.kinds, parents) is not None:
            return None
        name = f"_missing_{number}"
        found = missing_parents(check, quote(ROWS), relation(check.table))
        return Flag(check=check, sql=found_in(check.columns, name)), {name: found}
    if existing is None and not whole:
        return None
    name = f"_duplicates_{number}"
    if check.keep is None:
        found = duplicate_keys(check, quote(ROWS), relation(existing) if existing else None)
        return Flag(check=check, sql=found_in(check.columns, name)), {name: found}
    condition = not_kept(check, columns)
    if existing is None:
        return Flag(check=check, sql=condition), {}
    taken = duplicate_keys(check, quote(ROWS), relation(existing)).split(" UNION ", 1)[1]
    condition = f"({condition} OR coalesce({found_in(check.columns, name)}, FALSE))"
    return Flag(check=check, sql=condition), {name: taken}


def _packed(flags: list[Flag]) -> list[tuple[Flag, ...]]:
    """Put flags on at most 63 bits, as few together as that takes."""
    size = -(-len(flags) // MASK_BITS) or 1
    return [tuple(flags[at : at + size]) for at in range(0, len(flags), size)]


def _any(flags: tuple[Flag, ...]) -> str:
    if len(flags) == 1:
        return flags[0].sql
    return "(" + " OR ".join(f"coalesce({flag.sql}, FALSE)" for flag in flags) + ")"

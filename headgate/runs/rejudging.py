"""Judging by delta: the rows that came and went since a verdict, asked of the engine.

Which checks that decides, and by which questions, is the contracts' to say. Here files are chosen:
of those that neither came nor went only the ones that may hold a changed key are opened. What costs
as much as judging in full is left to that.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count

import pyarrow as pa

from headgate.contracts import (
    ContractSpec,
    Delta,
    KeyCheck,
    KeyQuestion,
    Measure,
    References,
    RowCheck,
    Rows,
    RowsChange,
    Unique,
    Which,
    bereft_question,
    changed_keys,
    delta,
    orphans_question,
    questions,
    settled_keys,
    taken_keys,
    unique_question,
)
from headgate.engines import Session, Sql
from headgate.filesets import DataFile
from headgate.lake import Delete, Entry, holding, plain, prune
from headgate.runs.row_changes import TableChange
from headgate.runs.wiring import Wiring
from headgate.verdicts import Verdict

MOST_KEYS = 1_000_000
"""How many changed keys are held in memory; beyond, a check is judged in full."""
MOST_VALUES = 100_000
"""How many changed keys files are chosen by one by one; beyond, by the bounds of their files."""
_FEW = 1_000_000
"""How many rows are looked into without choosing their files by the changed keys first."""


def measured_by_delta(
    wiring: Wiring,
    spec: ContractSpec,
    table: str,
    *,
    baseline: Verdict,
    changes: Mapping[str, TableChange | None],
) -> Mapping[str, Measure]:
    """Give the measures that follow from a verdict and from what changed since.

    Checks that are not in the answer must be asked of the whole table.
    """
    rows = {name: change.rows for name, change in changes.items() if change is not None}
    plan = delta(spec, table, baseline, rows)
    if not (plan.carried or plan.added or plan.keys):
        return {}
    found = dict(plan.carried)
    if plan.added or plan.keys:
        known = {name: change for name, change in changes.items() if change is not None}
        with closing(wiring.engine().session()) as session:
            asked = _Asked(wiring, session, spec, table, plan, known)
            found.update(asked.rows())
            for check in plan.keys:
                measure = asked.key(check)
                if measure is not None:
                    found[check.name] = measure
    return found


class _TooMany(Exception):  # noqa: N818 - no error: the check is judged in full
    """The changed keys, or the rows they meet, are too many for a delta to be worth it."""


class _Asked:
    """One contract's questions about one change."""

    def __init__(
        self,
        wiring: Wiring,
        session: Session,
        spec: ContractSpec,
        table: str,
        plan: Delta,
        changes: Mapping[str, TableChange],
    ) -> None:
        self._tables = wiring.lake.tables
        self._session = session
        self._spec = spec
        self._table = table
        self._plan = plan
        self._changes = changes
        self._numbers = count()
        self._schemas = {
            name: {column.name: plain(column.type) for column in change.after.table.schema}
            for name, change in changes.items()
            if change.after.table is not None
        }

    # -- rows

    def rows(self) -> Mapping[str, Measure]:
        """Answer the checks that add up over rows."""
        plan, change = self._plan, self._changes[self._table]
        found = {name: m for name, m in self._clean(plan, change).items() if name in plan.added}
        plan = replace(
            plan,
            added=tuple(name for name in plan.added if name not in found),
            removed=tuple(name for name in plan.removed if name not in found),
        )
        free = [n for n in plan.added if isinstance(self._spec.by_name[n], Rows | RowsChange)]
        read = _count(change.added) + (_count(change.removed) if plan.removed else 0)
        if read >= _count(change.files):
            plan = replace(plan, added=tuple(free))
        added = self._ask(change.after, change.added, plan.added)
        removed = self._ask(change.before, change.removed, plan.removed)
        return {**found, **plan.combined(self._spec, added, removed)}

    def _clean(self, plan: Delta, change: TableChange) -> Mapping[str, Measure]:
        """Answer the checks that no row that came violates, from fewer rows than all files hold."""
        if change.came is None or _count(change.came) >= _count(change.added):
            return {}
        wanted = [
            name
            for name in plan.added
            if isinstance(self._spec.by_name[name], RowCheck) and not plan.before[name].violations
        ]
        asked = self._ask(change.after, change.came, wanted)
        return {name: Measure() for name in wanted if not asked[name].violations}

    def _ask(
        self, entry: Entry, files: Sequence[DataFile], names: Sequence[str]
    ) -> Mapping[str, Measure]:
        asked = [n for n in names if not isinstance(self._spec.by_name[n], Rows | RowsChange)]
        if not asked:
            return {}
        if not files:
            return dict.fromkeys(asked, Measure())
        found: dict[str, Measure] = {}
        for question in questions(
            self._spec,
            self._table,
            schema=self._schemas[self._table],
            tables=self._schemas,
            only=asked,
            rows=self._bound(entry, files),
        ):
            found.update(question.read(self._session.scalars(question.sql)))
        return found

    # -- keys

    def key(self, check: KeyCheck) -> Measure | None:
        """Answer a key or a reference; None where it is to be judged in full."""
        try:
            if isinstance(check, Unique):
                return self._unique(check)
            return self._reference(check)
        except _TooMany:
            return None

    def _unique(self, check: Unique) -> Measure:
        change, before = self._changes[self._table], self._plan.before[check.name]
        columns = check.columns
        if not before.violations:
            if change.came is not None and change.by_key and set(change.by_key) <= set(columns):
                return before
            if change.came is not None and _count(change.came) < _count(change.added):
                return self._doubled(check, change.came, (), change.files, counted=False)
            if not change.added:
                return before
        return self._doubled(check, change.added, change.removed, change.kept)

    def _doubled(
        self,
        check: Unique,
        added: Sequence[DataFile],
        removed: Sequence[DataFile],
        rest: Sequence[DataFile],
        *,
        counted: bool = True,
    ) -> Measure:
        """Count doubled keys among the changed ones; ``counted``: the rest is without them."""
        change, before = self._changes[self._table], self._plan.before[check.name]
        columns, whole = check.columns, _count(change.files)
        self._worth(whole, added, removed)
        near = _meeting(rest, columns, (*added, *removed), columns)
        which: Which = "changed" if before.violations else "grown"
        parts = ((change.after, added), (change.before, removed))
        if counted and _count(near) <= _FEW:
            changed = f"({self._changed(columns, *parts, which=which)})"
        else:
            keys = self._keys(columns, *parts, which=which)
            if not keys.num_rows:
                return before
            near = self._holding(near, columns, keys)
            changed = self._named(keys if counted else _uncounted(keys))
        self._worth(whole, added, removed, near)
        question = unique_question(
            self._spec,
            check,
            changed=changed,
            kept=self._bound(change.after, near),
            doubled_before=bool(before.violations),
        )
        return self._measure(question, before, removed=bool(change.removed))

    def _reference(self, check: References) -> Measure:
        children, parents = self._changes[self._table], self._changes[check.table]
        before = self._plan.before[check.name]
        whole = _count(children.files) + _count(parents.files)
        turned = self._turned(check, whole)
        orphans = None
        if not before.violations:
            orphans = self._no_orphans(check, turned, whole)
        if orphans is None:
            orphans = self._orphans(check, turned, whole)
        if turned is None:
            return orphans
        return self._bereft(check, turned, whole, orphans)

    def _turned(self, check: References, whole: int) -> pa.Table | None:
        """Give the parents' keys that may have come or gone for good; None where there are none.

        Of keys that went only, where no child lacks its parent yet.
        """
        parents, columns = self._changes[check.table], check.parent_columns
        lost = not self._plan.before[check.name].violations
        if not parents.removed and (lost or not parents.added):
            return None
        if lost and parents.by_key and set(parents.by_key).issuperset(columns):
            return None
        if lost and parents.deletions is not None:
            self._worth(whole, parents.removed)
            found = self._taken(columns, parents, parents.deletions)
        else:
            self._worth(whole, parents.added, parents.removed)
            found = self._keys(
                columns,
                (parents.after, parents.added),
                (parents.before, parents.removed),
                which="lost" if lost else "turned",
            )
        return found if found.num_rows else None

    def _staying(self, check: References, turned: pa.Table) -> tuple[DataFile, ...]:
        """Give the parents' files that may hold a turned key all the same."""
        parents = self._changes[check.table]
        exact = self._plan.before[check.name].violations or parents.deletions is None
        files = parents.kept if exact else parents.files
        return self._holding(files, check.parent_columns, turned)

    def _taken(
        self, columns: Sequence[str], change: TableChange, deletions: Sequence[Delete]
    ) -> pa.Table:
        deleted = [
            (
                self._bound(change.after, each.files) if each.key_columns else each.predicate,
                each.key_columns,
            )
            for each in deletions
        ]
        if not deleted:
            deleted = [("FALSE", ())]
        removed = self._bound(change.after, change.removed)  # a predicate may name a new column
        return self._few(taken_keys(columns, removed, deleted, limit=MOST_KEYS + 1))

    def _no_orphans(self, check: References, turned: pa.Table | None, whole: int) -> Measure | None:
        """Answer from the rows that came, where none of them lacks its parent."""
        children = self._changes[self._table]
        if children.came is None or _count(children.came) >= _count(children.added):
            return None
        found = self._orphans_among(check, children.came, (), turned, whole)
        return None if found.violations else found

    def _orphans(self, check: References, turned: pa.Table | None, whole: int) -> Measure:
        children = self._changes[self._table]
        return self._orphans_among(check, children.added, children.removed, turned, whole)

    def _orphans_among(
        self,
        check: References,
        added: Sequence[DataFile],
        removed: Sequence[DataFile],
        turned: pa.Table | None,
        whole: int,
    ) -> Measure:
        """Count the children that came, less those that went, of parents there are none of."""
        children, parents = self._changes[self._table], self._changes[check.table]
        before = self._plan.before[check.name]
        columns, targets = check.columns, check.parent_columns
        self._worth(whole, added, removed)
        near = _meeting(parents.files, targets, (*added, *removed), columns)
        which: Which = "changed" if before.violations else "grown"
        parts = ((children.after, added), (children.before, removed))
        if _count(near) <= _FEW:
            name = f"({self._changed(columns, *parts, which=which)})"
        else:
            keys = self._keys(columns, *parts, which=which)
            if not keys.num_rows:
                return before
            near = self._holding(near, targets, keys)
            name = self._named(keys)
        self._worth(whole, added, removed, near)
        if turned is not None:
            staying = self._bound(parents.after, self._staying(check, turned))
            name = settled_keys(name, self._named(turned), staying, check)
        question = orphans_question(
            self._spec, check, changed=name, parents=self._bound(parents.after, near)
        )
        return self._measure(question, before, removed=bool(children.removed))

    def _bereft(self, check: References, turned: pa.Table, whole: int, orphans: Measure) -> Measure:
        """Count the children whose parents went, less those whose parents came."""
        children, parents = self._changes[self._table], self._changes[check.table]
        kept = self._staying(check, turned)
        now = self._holding(children.files, check.columns, turned)
        was: tuple[DataFile, ...] = ()
        if self._plan.before[check.name].violations:
            earlier = (*children.kept, *children.removed)
            was = self._holding(earlier, check.columns, turned)
        self._worth(whole, kept, now, was)
        question = bereft_question(
            self._spec,
            check,
            turned=self._named(turned),
            kept_parents=self._bound(parents.after, kept),
            children_now=self._bound(children.after, now),
            children_before=self._bound(children.before, was) if was else None,
        )
        return self._measure(question, orphans, removed=bool(children.removed))

    # -- parts

    def _measure(self, question: KeyQuestion, before: Measure, *, removed: bool) -> Measure:
        return question.measure(before, self._session.scalars(question.sql), removed=removed)

    def _changed(
        self,
        columns: Sequence[str],
        added: tuple[Entry, Sequence[DataFile]],
        removed: tuple[Entry, Sequence[DataFile]],
        *,
        which: Which,
        limit: int | None = None,
    ) -> str:
        """Give the query for the changed keys."""
        return changed_keys(
            columns,
            self._bound(*added),
            self._bound(*removed) if removed[1] else None,
            which=which,
            limit=limit,
        )

    def _keys(
        self,
        columns: Sequence[str],
        added: tuple[Entry, Sequence[DataFile]],
        removed: tuple[Entry, Sequence[DataFile]],
        *,
        which: Which,
    ) -> pa.Table:
        """Give the changed keys, in memory.

        Raises:
            _TooMany: there are more than that should hold.
        """
        limit = MOST_KEYS + 1
        return self._few(self._changed(columns, added, removed, which=which, limit=limit))

    def _few(self, text: str) -> pa.Table:
        found = self._session.reader(Sql(text=text)).read_all()
        if found.num_rows > MOST_KEYS:
            raise _TooMany
        return found

    def _holding(
        self, files: Sequence[DataFile], columns: Sequence[str], keys: pa.Table
    ) -> tuple[DataFile, ...]:
        """Give the files that may hold a row of one of these keys."""
        found = tuple(files)
        for number, column in enumerate(columns):
            values = keys.column(f"k_{number}")
            if len(found) > 1 and len(values) <= MOST_VALUES:
                try:
                    found = holding(found, column, _sorted(values))
                except (ValueError, OverflowError, pa.ArrowNotImplementedError):
                    continue  # an instant beyond Python's calendar; values without an order
        return found

    def _bound(self, entry: Entry, files: Sequence[DataFile]) -> str:
        name = f"_hg_part_{next(self._numbers)}"
        self._session.bind({name: self._tables.scan_files(entry, files)})
        return name

    def _named(self, keys: pa.Table) -> str:
        name = f"_hg_keys_{next(self._numbers)}"
        self._session.bind({name: keys})
        return name

    def _worth(self, whole: int, *parts: Sequence[DataFile]) -> None:
        """Go on only where no more rows are read than judging in full would.

        Raises:
            _TooMany: the parts hold more.
        """
        if sum(_count(files) for files in parts) > whole:
            raise _TooMany


def _uncounted(keys: pa.Table) -> pa.Table:
    """Give keys whose rows are counted elsewhere."""
    at = keys.schema.get_field_index("a")
    return keys.set_column(at, "a", pa.array([0] * keys.num_rows, pa.int64()))


def _sorted(values: pa.ChunkedArray) -> Sequence[object]:
    ordered = values.combine_chunks().sort()
    if pa.types.is_integer(ordered.type):
        numbers: Sequence[object] = ordered.to_numpy()
        return numbers
    listed: list[object] = ordered.to_pylist()
    return listed


def _meeting(
    files: Sequence[DataFile],
    columns: Sequence[str],
    others: Sequence[DataFile],
    other_columns: Sequence[str],
) -> tuple[DataFile, ...]:
    """Give the files whose bounds of columns meet those of one of the others."""
    if len(files) * len(others) > MOST_VALUES:
        return tuple(files)
    found: dict[str, DataFile] = {}
    for other in others:
        near = tuple(files)
        for column, theirs in zip(columns, other_columns, strict=True):
            low, high = other.bounds.get(theirs, (None, None))
            near = prune(near, column, low, high)  # type: ignore[arg-type]
        found.update((file.path, file) for file in near)
    return tuple(found.values())


def _count(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)

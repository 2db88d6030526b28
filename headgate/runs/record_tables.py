"""One of the tables that records become: where its records are found, and what they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headgate.errors import Internal
from headgate.records import Carrier, RecordPlan, Shape, carried, unfolded
from headgate.runs.kept_records import ROOT, KeptRecords
from headgate.runs.outputs import Target


@dataclass(slots=True, kw_only=True)
class RecordTable:
    """A table, and how its records are found among those that were kept.

    They are the records of ``relation``, or where there is a ``path`` the elements at it, read out
    of those records whenever they are asked for: objects, or ``of_values``.
    """

    target: Target
    relation: str
    shape: Shape
    path: str | None = None
    of_values: bool = False
    parent: "RecordTable | None" = None
    plan: RecordPlan | None = None
    children: "list[RecordTable]" = field(default_factory=list)

    @property
    def depth(self) -> int:
        """How many tables it is under."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def made(self) -> RecordPlan:
        """The plan, which is there.

        Raises:
            Internal: ``records-undecided``.
        """
        if self.plan is None:
            raise Internal("records-undecided", f"{self.target.table} has no plan.")
        return self.plan

    def all(self) -> "Iterator[RecordTable]":
        """Give the table, and those under it."""
        yield self
        for child in self.children:
            yield from child.all()

    def carried(
        self,
        kept: KeptRecords,
        what: Mapping[str, Carrier],
        *,
        limit: int | None = None,
    ) -> str:
        """Give the relation of the records that are to become rows, with what is carried of each.

        Of the first few where there is a ``limit``.
        """
        live = kept.live(self.relation)
        if limit is not None:
            live = f"(select * from {live} limit {limit})"
        if self.path is None:
            return carried(live, what)
        return unfolded(live, self.path, what, beside=(ROOT,), of_values=self.of_values)

    def under(self, kept: KeptRecords, parents: str, names: tuple[str, ...]) -> str:
        """Give the records under accepted parents, with what the plan needs of each.

        ``parents`` is a relation of the parents' keys, with these names, and of their records.
        """
        plan = self.made
        if self.path is not None:
            return unfolded(
                parents, self.path, plan.carried, beside=names, of_values=self.of_values
            )
        keys = f"(select {', '.join((*names, ROOT))} from {parents})"
        live = kept.live(self.relation)
        return carried(f"(select * from {live} c join {keys} p using ({ROOT}))", plan.carried)

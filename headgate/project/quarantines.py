"""Quarantined rows of one table: looked at, mended, replayed, discarded."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from headgate.contracts import contract_spec
from headgate.engines import Engine
from headgate.events import Listener
from headgate.lake import Lake
from headgate.pipelines import Pipeline
from headgate.project.parameters import Settled
from headgate.project.views import TableHandle
from headgate.runs import Choice, Hall, RunResult

Making: TypeAlias = Callable[[str], "tuple[Pipeline, Settled] | None"]
"""Gives the pipeline that makes a table, and its parameters; None where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing:
    """How quarantined rows are changed: on which branch, by whose runs."""

    target: str
    lake: Lake
    engine: Callable[[], Engine]
    hall: Callable[[Iterable[Listener]], AbstractContextManager[Hall]]
    making: Making


class Quarantine(TableHandle):
    """The rows that were set aside from a table, at one commit of a ref.

    What changes them works on the branch as it is then, not on the commit that was looked at:
    ``because`` names a check they violate, ``where`` is SQL over the row as it came (and over
    ``_position``, ``_checks``, ``_attempt``, ``_run``, ``_step``, ``_quarantined_at``, ``_id``).
    """

    def __init__(self, handle: TableHandle, table: str, changing: Changing) -> None:
        super().__init__(changing.lake, changing.engine, handle.view, handle.name, handle.entry)
        self._table = table
        self._changing = changing

    def replay(
        self,
        *,
        because: str | None = None,
        where: str | None = None,
        overwrite: bool = False,
        listeners: Iterable[Listener] = (),
    ) -> RunResult:
        """Put rows through the repaired contract once more, and run the steps after the table.

        In one commit: accepted rows come to the table and leave the quarantine; those rejected
        again stay, with their new reasons and one attempt more. Exactly once, whoever else replays.
        Of an upserted table, rows whose keys were written again since they were set aside stay,
        too, unless they shall ``overwrite`` what is there.

        Raises:
            NotFound: ``nothing-quarantined``.
            Refused: ``nothing-to-replay``, ``replay-superseded``; and as ``run``.
        """
        making = self._changing.making(self._table)
        pipeline, values = making if making is not None else (None, None)
        with self._changing.hall(listeners) as hall:
            return hall.replay(
                self._choice(because, where, overwrite=overwrite),
                target=self._changing.target,
                pipeline=pipeline,
                parameters=values,
            )

    def edit(self, *values: str, because: str | None = None, where: str | None = None) -> RunResult:
        """Give rows other values, ready to be replayed: ``edit("tailnum = 'N1'", where=...)``.

        A record that was no row at all becomes one of exactly these values.

        Raises:
            NotFound: ``nothing-quarantined``. Invalid: ``bad-assignment``, ``bad-condition``.
        """
        with self._changing.hall(()) as hall:
            choice = self._choice(because, where)
            return hall.edit(
                choice, target=self._changing.target, values=values, declared=self._declared
            )

    def discard(
        self, *, reason: str, because: str | None = None, where: str | None = None
    ) -> RunResult:
        """Take rows out for good; the reason is kept in the commit.

        Raises:
            NotFound: ``nothing-quarantined``. Invalid: ``discard-without-reason``.
        """
        with self._changing.hall(()) as hall:
            choice = self._choice(because, where)
            return hall.discard(choice, target=self._changing.target, reason=reason)

    def _declared(self) -> Collection[str]:
        """Give the columns that the table's contract has now, by both of their names."""
        making = self._changing.making(self._table)
        steps = making[0].steps if making is not None else ()
        contracts = [step.contract for step in steps if step.table == self._table and step.contract]
        return [
            name
            for contract in contracts
            for column in contract_spec(contract).columns
            for name in (column.name, column.source)
        ]

    def _choice(self, because: str | None, where: str | None, *, overwrite: bool = False) -> Choice:
        return Choice(table=self._table, because=because, where=where, overwrite=overwrite)


def making_table(pipelines: Sequence[Pipeline], table: str, owner: str | None) -> Pipeline | None:
    """Give the pipeline with a step that makes a table: its owner, where there are several."""
    found = [each for each in pipelines if any(step.table == table for step in each.steps)]
    owning = [each for each in found if each.name == owner]
    return next(iter((*owning, *found)), None)

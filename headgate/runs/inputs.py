"""What a step reads: tables of the run's tree and what of them is new, or a source."""

from collections.abc import Callable, Mapping

from headgate.digests import digest_json
from headgate.errors import NotFound, Refused
from headgate.lake import Commit, Entry, Read, Tree, cursor_key, refuse_emptied, table_key
from headgate.names import suggestion
from headgate.pipelines import Input, Mode, Step
from headgate.runs import incremental
from headgate.runs.attempt import Attempt
from headgate.runs.incremental import AppendedRows, ChangedRows, Everything, Position, RefuseInput
from headgate.runs.positions import commits_since
from headgate.runs.source_states import source_state


class Inputs:
    """A step's inputs on one tree: which tables, in what state. Reads no rows.

    ``read`` is the function of a source that is one.
    """

    def __init__(
        self,
        attempt: Attempt,
        step: Step,
        tree: Tree,
        *,
        read: Callable[[object], object] | None = None,
    ) -> None:
        self._attempt = attempt
        self._step = step
        self._tree = tree
        self.entries = {one.table: self._entry(one) for one in step.inputs}
        self.increments = {
            one.table: self._increment(one) for one in step.inputs if one.incremental
        }
        self.source = source_state(attempt, step, read) if step.source is not None else None

    # -- what they are

    def contents(self) -> Mapping[str, str | None]:
        """Give what the fingerprint takes of each input: the content id, or what is new of it."""
        if self.source is not None:
            return {"source": self.source.fingerprint}
        found: dict[str, str | None] = {}
        for table, entry in self.entries.items():
            increment = self.increments.get(table)
            if isinstance(increment, AppendedRows):
                # Not by their bytes: equal rows that came again are new.
                found[table] = digest_json([file.path for file in increment.files])
            else:
                found[table] = entry.content
        return found

    def reads(self) -> tuple[Read, ...]:
        """Give the reads for the record: every input, whole, as it was seen."""
        return tuple(
            Read(
                key=table_key(table),
                content=entry.content,
                own=self._attempt.wrote(table_key(table)),
            )
            for table, entry in self.entries.items()
        )

    def position(self) -> str | None:
        """Give the step's new cursor, None for a step without one."""
        if not self.increments:
            return None
        base = self._attempt.base
        return Position(run=self._attempt.id, base_number=base.number, base=base.id).text()

    @property
    def has_news(self) -> bool:
        """Whether there is anything to do: False where every incremental input has nothing new."""
        if not self.increments or len(self.increments) < len(self.entries):
            return True
        return any(
            not isinstance(increment, AppendedRows) or increment.files
            for increment in self.increments.values()
        )

    @property
    def mode(self) -> Mode:
        """How the output is written: as declared, but for incremental inputs.

        Where only appended rows are read, a replaced output grows; where something else happened,
        what was written before is replaced.
        """
        declared: Mode = self._step.mode
        if declared == "delete":
            return declared
        if any(isinstance(each, Everything) and each.replaces for each in self.increments.values()):
            return "replace"
        if (
            self.increments
            and declared == "replace"
            and not any(isinstance(each, Everything) for each in self.increments.values())
        ):
            return "append"
        return declared

    def _entry(self, one: Input) -> Entry:
        entry = self._tree.get(table_key(one.table))
        if entry is None:
            known = [key.removeprefix("table/") for key in self._tree.keys("table/")]
            close = suggestion(one.table, known)
            raise NotFound(
                "input-unknown",
                f"Step {self._step.name} needs the table {one.table}, which is not there.",
                hint=f"Did you mean {close}?"
                if close
                else "Declare a step or a source of that name.",
                table=one.table,
                step=self._step.name,
            )
        return entry

    # -- increments

    def _position(self) -> Position | None:
        """Give how far the step has read; None, too, where what it made of that is not there."""
        attempt, table = self._attempt, self._step.table
        if table is not None and attempt.base_tree.get(table_key(table)) is None:
            return None
        cursor = attempt.base_tree.get(cursor_key(attempt.row.pipeline, self._step.name))
        return Position.parse(cursor.data) if cursor and cursor.data else None

    def _increment(self, one: Input) -> AppendedRows | ChangedRows | Everything:
        attempt = self._attempt
        lake = attempt.wiring.lake
        position = self._position()
        commits: tuple[Commit, ...] = ()
        if position is not None:
            position, commits = commits_since(lake, position, attempt.base)
        decision = incremental.decide(
            table_key(one.table),
            self._step.name,
            position,
            commits,
            own=tuple(done.record for done in attempt.done.values()),
            changes=one.changes,
            append_only=self._step.mode == "append",
        )
        if isinstance(decision, RefuseInput):
            raise Refused(
                "rows-changed",
                f"Step {self._step.name} only appends, and rows of {one.table} that it has read "
                f"were changed since ({decision.reason}).",
                hint="Declare changes=True to take change rows, or mode='upsert' or 'replace' "
                "to let the output be computed anew.",
                step=self._step.name,
                table=one.table,
                commit=decision.commit,
            )
        if position is not None and isinstance(decision, AppendedRows) and decision.files:
            window = lake.window(attempt.base, since=position.base_number)
            refuse_emptied(lake.metastore, window, keys={table_key(one.table)})
        return decision

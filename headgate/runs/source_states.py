"""What a source holds now, and how far it was read: enough to know that nothing is new."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate.errors import Internal
from headgate.lake import cursor_key, table_key
from headgate.pipelines import Step
from headgate.runs.attempt import Attempt
from headgate.sources import Cursor, Setting, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """A source of a step. ``cursor`` is None where it is read from the beginning.

    ``fingerprint`` is the digest of all it holds; where a source cannot tell, the run's own id, so
    that it counts as changed.
    """

    source: Source
    cursor: Cursor | None
    fingerprint: str

    def contents(self) -> Mapping[str, str | None]:
        """Give what a step's fingerprint takes of it."""
        return {"source": self.fingerprint}


def source_state(
    attempt: Attempt, step: Step, read: Callable[[object], object] | None = None
) -> SourceState:
    """Look at a step's source: from the cursor on; from the beginning where its rows are not kept.

    That is a table that is replaced, and one that is not there: dropped, or named anew. ``read`` is
    the user's function, where that is the source.
    """
    wiring, declared = attempt.wiring, step.source
    if declared is None:
        raise Internal("step-without-source", f"Step {step.name} has no source.")
    options = declared.options
    if step.function is not None:
        title, takes = f"{step.function.__name__}()", step.cursor is not None
        options = {**options, "read": read, "title": title, "takes_cursor": takes}
    source = wiring.source(declared.kind, options, setting_of(attempt, step))
    stored = attempt.base_tree.get(cursor_key(attempt.row.pipeline, step.name))
    there = step.table is not None and attempt.base_tree.get(table_key(step.table)) is not None
    cursor = None
    if step.mode != "replace" and there and stored is not None and stored.data is not None:
        cursor = source.cursor(stored.data)
    return SourceState(
        source=source, cursor=cursor, fingerprint=source.fingerprint() or f"unknown-{attempt.id}"
    )


def setting_of(attempt: Attempt, step: Step) -> Setting:
    """Give what a step's source is told beside its options."""
    wiring = attempt.wiring

    def published() -> str | None:
        tree = wiring.lake.tree(wiring.head(attempt.row.target))
        entry = tree.get(cursor_key(attempt.row.pipeline, step.name))
        return entry.data if entry is not None else None

    return Setting(
        root=wiring.root,
        cache=wiring.cache / "sources",
        as_text=step.contract is not None,
        appends=step.mode == "append",
        owner=(attempt.row.pipeline, step.name, attempt.row.target),
        lake=wiring.lake.id,
        clock=wiring.clock,
        published=published,
        reveal=wiring.reveal,
    )

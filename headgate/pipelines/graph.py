"""The graph of a pipeline: who makes which table, and what must come first. Pure.

A step comes after the steps whose tables it reads, after those it names in ``after=``, and after
those whose tables its contract looks up in. One that deletes from a table comes after the step that
makes it, and whoever reads the table comes after both, but for what tells which rows to delete.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Literal, TypeAlias

from headgate.errors import Invalid, NotFound
from headgate.names import suggestion
from headgate.pipelines.steps import Step

Reason: TypeAlias = Literal["reads", "after", "references", "deletes"]


class Graph:
    """The steps of a pipeline in an order that respects what they need. Built once, never changed.

    Raises:
        Invalid: ``step-named-twice``, ``table-written-twice``, ``step-cycle``,
            ``after-unknown-step``.
    """

    __slots__ = ("_dependents", "_external", "_makers", "_order", "_steps", "_upstream")

    def __init__(self, steps: Iterable[Step]) -> None:
        listed = tuple(steps)
        self._steps = _by_name(listed)
        self._makers = _by_table(listed)
        self._upstream: dict[str, dict[str, Reason]] = {}
        self._external: dict[str, list[str]] = {}
        for step in listed:
            self._upstream[step.name] = self._edges(step)
        self._await_deletions()
        self._dependents: dict[str, list[str]] = {name: [] for name in self._steps}
        for name, before in self._upstream.items():
            for upstream in before:
                self._dependents[upstream].append(name)
        self._order = self._sorted()

    @property
    def order(self) -> tuple[str, ...]:
        """Every step's name, upstream first; otherwise as declared."""
        return self._order

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in that order."""
        return tuple(self._steps[name] for name in self._order)

    @property
    def external(self) -> Mapping[str, tuple[str, ...]]:
        """The tables that are needed and that no step makes, with the steps that need them."""
        return {table: tuple(readers) for table, readers in self._external.items()}

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __contains__(self, step: object) -> bool:
        return step in self._steps

    def __getitem__(self, step: str) -> Step:
        """Give the step of that name.

        Raises:
            NotFound: ``unknown-step``.
        """
        found = self._steps.get(step)
        if found is None:
            close = suggestion(step, self._steps)
            raise NotFound(
                "unknown-step",
                f"There is no step {step!r}.",
                hint=f"Did you mean {close}?" if close else None,
                step=step,
            )
        return found

    def maker(self, table: str) -> Step | None:
        """Give the step that writes a table, None where none does."""
        name = self._makers.get(table)
        return None if name is None else self._steps[name]

    def upstream(self, step: str) -> tuple[str, ...]:
        """Give the steps that must be done right before this one."""
        return tuple(self._upstream[step])

    def dependents(self, step: str) -> tuple[str, ...]:
        """Give the steps that wait for this one directly."""
        return tuple(self._dependents[step])

    def reason(self, step: str, upstream: str) -> Reason:
        """Say why one step comes after another."""
        return self._upstream[step][upstream]

    def ancestors(self, step: str) -> frozenset[str]:
        """Give everything a step depends on, directly or not."""
        return _reached(step, self._upstream)

    def descendants(self, step: str) -> frozenset[str]:
        """Give everything that depends on a step, directly or not."""
        return _reached(step, self._dependents)

    def ready(self, done: Collection[str] = ()) -> "Ready":
        """Give the queue of steps that may start, given those that are done."""
        return Ready(self, done)

    def check_inputs(self, existing: Collection[str]) -> None:
        """Refuse steps that read a table which neither a step makes nor ``existing`` holds.

        Raises:
            NotFound: ``input-unknown``, naming the first one, with the name most likely meant.
        """
        for table, readers in self._external.items():
            if table not in existing:
                reader = self._steps[readers[0]]
                close = suggestion(table, {*self._makers, *existing})
                raise NotFound(
                    "input-unknown",
                    f"Step {reader.name}{_at(reader)} needs the table {table}, which no step makes "
                    "and the lake does not hold.",
                    hint=f"Did you mean {close}?"
                    if close
                    else "Declare a step or a source of that name.",
                    table=table,
                    steps=list(readers),
                )

    def _edges(self, step: Step) -> dict[str, Reason]:
        before: dict[str, Reason] = {}
        for one in step.inputs:
            self._edge(step, one.table, "reads", before)
        for name in step.after:
            if name not in self._steps:
                close = suggestion(name, self._steps)
                raise Invalid(
                    "after-unknown-step",
                    f"Step {step.name}{_at(step)} comes after {name!r}, which is no step of the "
                    "pipeline.",
                    hint=f"Did you mean {close}?" if close else None,
                    step=step.name,
                    after=name,
                )
            before.setdefault(name, "after")
        for table in step.references:
            if table != step.table:
                self._edge(step, table, "references", before)
        if step.mode == "delete" and step.table is not None:
            self._edge(step, step.table, "deletes", before)
        return before

    def _await_deletions(self) -> None:
        """Order deletions from one table as declared, and before those who read what is left."""
        deleting = [step for step in self._steps.values() if step.mode == "delete"]
        last: dict[str | None, str] = {}
        for step in deleting:
            if step.table in last:
                self._upstream[step.name].setdefault(last[step.table], "deletes")
            last[step.table] = step.name
        for step in deleting:
            telling = {step.name, *_reached(step.name, self._upstream)}
            for reader in self._steps.values():
                tables = {*(one.table for one in reader.inputs), *reader.references}
                if step.table in tables and reader.name not in telling:
                    self._upstream[reader.name].setdefault(step.name, "reads")

    def _edge(self, step: Step, table: str, reason: Reason, before: dict[str, Reason]) -> None:
        maker = self._makers.get(table)
        if maker is not None:
            before.setdefault(maker, reason)
            return
        readers = self._external.setdefault(table, [])
        if not readers or readers[-1] != step.name:
            readers.append(step.name)

    def _sorted(self) -> tuple[str, ...]:
        """Order by depth-first search: a step right after the last thing it needs."""
        order: list[str] = []
        state: dict[str, bool] = {}
        for start in self._steps:
            if start in state:
                continue
            state[start] = False
            path = [(start, iter(self._upstream[start]))]
            while path:
                name, rest = path[-1]
                for upstream in rest:
                    if upstream not in state:
                        state[upstream] = False
                        path.append((upstream, iter(self._upstream[upstream])))
                        break
                    if not state[upstream]:
                        raise self._cycle([step for step, _ in path], upstream)
                else:
                    state[name] = True
                    order.append(name)
                    path.pop()
        return tuple(order)

    def _cycle(self, path: list[str], again: str) -> Invalid:
        around = [*path[path.index(again) :], again]
        lines = [
            f"  {step} {self._needs(step, upstream)}{_at(self._steps[step])}"
            for step, upstream in pairwise(around)
        ]
        return Invalid(
            "step-cycle",
            "The steps need each other in a circle:\n" + "\n".join(lines),
            hint="Take one of these away.",
            cycle=around,
        )

    def _needs(self, step: str, upstream: str) -> str:
        table = self._steps[upstream].table
        does = "deletes from" if self._steps[upstream].mode == "delete" else "makes"
        made = upstream if table == upstream else f"{table}, which {upstream} {does}"
        match self._upstream[step][upstream]:
            case "reads":
                return f"reads {made}"
            case "after":
                return f"comes after {upstream}"
            case "references":
                return f"has a contract that refers to {made}"
            case "deletes":
                return f"deletes from {made}"


class Ready:
    """A queue of steps that may start: each is released when the last step it waits for is done."""

    __slots__ = ("_graph", "_ready", "_waiting")

    def __init__(self, graph: Graph, done: Collection[str] = ()) -> None:
        self._graph = graph
        self._waiting = {
            name: sum(1 for upstream in graph.upstream(name) if upstream not in done)
            for name in graph.order
            if name not in done
        }
        self._ready = [name for name, count in self._waiting.items() if count == 0]

    def __len__(self) -> int:
        """Count the steps that are neither done nor given out."""
        return len(self._waiting)

    def take(self) -> tuple[str, ...]:
        """Give out all steps that may start now; each is given out once."""
        taken = tuple(self._ready)
        for name in taken:
            del self._waiting[name]
        self._ready.clear()
        return taken

    def done(self, step: str) -> None:
        """Say that a step given out before is done."""
        for dependent in self._graph.dependents(step):
            if dependent in self._waiting:
                self._waiting[dependent] -= 1
                if self._waiting[dependent] == 0:
                    self._ready.append(dependent)


def _by_name(steps: tuple[Step, ...]) -> dict[str, Step]:
    named: dict[str, Step] = {}
    for step in steps:
        other = named.setdefault(step.name, step)
        if other is not step:
            raise Invalid(
                "step-named-twice",
                f"Two steps are named {step.name}:{_both(other, step)}",
                hint="Give one of them another name.",
                step=step.name,
            )
    return named


def _by_table(steps: tuple[Step, ...]) -> dict[str, str]:
    makers: dict[str, Step] = {}
    for step in steps:
        for table in step.tables if step.mode != "delete" else ():
            other = makers.setdefault(table, step)
            if other is not step:
                raise Invalid(
                    "table-written-twice",
                    f"The steps {other.name} and {step.name} both write the table {table}:"
                    f"{_both(other, step)}",
                    hint="Give one of them another table=, or make one step of the two.",
                    table=table,
                    steps=[other.name, step.name],
                )
    return {table: step.name for table, step in makers.items()}


def _reached(start: str, edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in edges[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


def _at(step: Step) -> str:
    return f" ({step.place})" if step.place else ""


def _both(one: Step, other: Step) -> str:
    return f" at {one.place} and at {other.place}." if one.place and other.place else " both here."

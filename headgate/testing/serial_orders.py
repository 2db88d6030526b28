"""Brute force: is there any order in which the publications could have run one after another?

In such an order every binding run sees, step by step, exactly what it saw; the others act as their
recorded operations, and see what they moved on themselves (a cursor) as they saw it; a revert
leaves what the runs before it would have left without the reverted one; and what is left at the end
is what was published.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headgate.lake.operations import Operation, Put
from headgate.testing.abstract_lake import EMPTY, Shelf, Table, Tree, normal, outcome, selected
from headgate.testing.abstract_runs import Done, Seen, Unit, tables_of

State: TypeAlias = dict[str, "Table | str | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Why no serial order exists: what goes wrong in publication order, and how many were tried."""

    kind: str
    what: str
    tried: int = 0


class SerialOrders:
    """The search for a serial order of some publications."""

    def __init__(self, genesis: Tree, units: Sequence[Unit], final: Tree, shelf: Shelf) -> None:
        self._genesis = state_of(genesis)
        self._final = state_of(final)
        self._units = units
        self._shelf = shelf.truth()
        self._first: str | None = None
        self._tried = 0

    def anomaly(self) -> Anomaly | None:
        """Give the anomaly, or None where a serial order exists."""
        twice = [name for name, n in Counter(unit.run for unit in self._units).items() if n > 1]
        if twice:
            return Anomaly(kind="published-twice", what=f"{twice[0]} was published twice")
        if self._search(self._genesis, (), tuple(range(len(self._units)))):
            return None
        return Anomaly(kind="not-serializable", what=self._first or "", tried=self._tried)

    def _search(self, state: State, done: tuple[int, ...], left: tuple[int, ...]) -> bool:
        if not left:
            self._tried += 1
            return self._is_final(state)
        for index in left:
            after = self._after(state, done, self._units[index])
            if after is not None and self._search(
                after, (*done, index), tuple(each for each in left if each != index)
            ):
                return True
        return False

    def _is_final(self, state: State) -> bool:
        for key in sorted({*state, *self._final}):
            if key.startswith("seen/"):
                continue
            there, published = state.get(key), self._final.get(key)
            if isinstance(there, Table):
                there = normal(there)
            if there != published:
                self._note(f"at the end {key} is {published}, and serially {there}")
                return False
        return True

    def _after(self, state: State, done: tuple[int, ...], unit: Unit) -> State | None:
        reverted = {run for i in done for run in self._units[i].reverts}
        if unit.reverts:
            gone = reverted.union(unit.reverts)
            state = self._genesis
            for i in done:
                if self._units[i].run not in gone and not self._units[i].reverts:
                    after = self._played(state, self._units[i], check=unit.cascades, lookups=False)
                    if after is None:
                        return None
                    state = after
            return state
        standing = {self._units[i].run for i in done} - reverted
        for step in unit.steps:
            if step.leans_on is not None and step.leans_on not in standing:
                self._note(f"{unit.run} skips {step.plan.name}: {step.leans_on} is not in effect")
                return None
        return self._played(state, unit, check=True)

    def _played(
        self, state: State, unit: Unit, *, check: bool, lookups: bool = True
    ) -> State | None:
        """Give the state after a unit; None where, with ``check``, it sees something else there.

        Without ``lookups`` it may find another last output of its steps: nothing is made of that.
        """
        state = dict(state)
        for step in unit.steps:
            for seen in step.seen if check else ():
                if not unit.binding and not _is_moved(step, seen):
                    continue
                if not lookups and seen.key.startswith("pipeline/"):
                    continue
                problem = self._problem(state, unit, step, seen)
                if problem is not None:
                    self._note(f"{unit.run} {step.plan.name}: {problem}")
                    return None
            for seen in step.seen:
                if seen.kind in ("delta", "everything"):
                    rows = seen.whole
                    state[f"seen/{unit.name}/{step.plan.name}"] = Table((), rows)  # type: ignore[arg-type]
            for key, operation in step.did:
                state[key] = self._did(state.get(key), operation)
        return state

    def _did(self, value: "Table | str | None", operation: Operation) -> "Table | str | None":
        if isinstance(operation, Put):
            return operation.content
        table = value if isinstance(value, Table) else None
        return outcome(table, operation, self._shelf)

    def _problem(self, state: State, unit: Unit, step: Done, seen: Seen) -> str | None:
        """Say how what a step saw differs from what it sees here."""
        here: object = state.get(seen.key)
        table = here if isinstance(here, Table) else None
        match seen.kind:
            case "rows" if seen.look is not None:
                here = selected(table, seen.look)
            case "listing":
                here = tables_of(state)
            case "everything":
                here = normal(table or EMPTY).rows
            case "delta":
                before = state.get(f"seen/{unit.name}/{step.plan.name}")
                old = Counter(before.rows if isinstance(before, Table) else ())
                new = Counter(normal(table or EMPTY).rows)
                if old - new:
                    return f"{seen.key}: rows it had seen are gone"
                here = tuple(sorted((new - old).elements()))
            case _:
                pass
        if here == seen.value:
            return None
        return f"saw {seen.key} {seen.kind} {seen.value}, and serially {here}"

    def _note(self, problem: str) -> None:
        if self._first is None:
            self._first = problem


def _is_moved(step: Done, seen: Seen) -> bool:
    """Whether a step moved on what it saw: exactly once holds at every level."""
    return seen.kind == "value" and any(key == seen.key for key, _ in step.did)


def state_of(tree: Tree) -> State:
    """Give a tree's values, tables as their readers see them."""
    found: State = {}
    for key, cell in tree.items():
        found[key] = normal(cell.table) if cell.table is not None else cell.entry.data
    return found


def replayed(units: Sequence[Unit]) -> Mapping[str, int]:
    """Count the operations that publications did, by kind: what a soak has covered."""
    return Counter(
        type(operation).__name__
        for unit in units
        for step in unit.steps
        for _, operation in step.did
    )

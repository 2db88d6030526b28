"""A project's sinks: made where they are asked for, delivered to one after the other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from headgate.errors import HeadgateError, NotFound
from headgate.lake import Commit
from headgate.names import suggestion
from headgate.pipelines import Changes, DeclaredSink
from headgate.project.delivery_failures import DeliveryFailure, DeliveryFailures
from headgate.project.opened import Opened
from headgate.runs import (
    Delivered,
    Deliverer,
    SinkState,
    TableAtSink,
    let_go_of_sink,
    undeclared_sinks,
)
from headgate.sinks import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkDetails:
    """All that is known of a sink. ``facts`` are of its destination, without secrets.

    ``published`` is when the commit that it has was published, ``failure`` the last one since
    something arrived, as far as it was noted on this machine. Of a sink that is not declared any
    more there are no ``tables``.
    """

    state: SinkState
    facts: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[TableAtSink, ...] = ()
    changes: Changes | None = None
    published: datetime | None = None
    failure: DeliveryFailure | None = None


class Deliveries:
    """The sinks that a project declares, on its lake.

    As the project's files are now. A sink's branch is the settings' target, where it does not say
    another.
    """

    def __init__(self, opened: Opened) -> None:
        self._declared = {each.name: each for each in opened.discovery.declared.sinks}
        self._settings = opened.settings
        self._outside = opened.outside
        self._wiring = opened.wiring()
        self._failures = DeliveryFailures(opened.settings.cache / "sinks")

    def details(self, name: str) -> SinkDetails:
        """Say all that is known of a sink; also of one that is not declared any more.

        Raises:
            NotFound: ``unknown-sink``.
        """
        gone = {each.name: each for each in undeclared_sinks(self._wiring, tuple(self._declared))}
        if name in gone:
            return SinkDetails(state=gone[name], failure=self._failures.last(name))
        declared = self._named(name, also=gone)
        with self._deliverer(declared) as deliverer:
            try:
                state, facts = deliverer.state(), deliverer.sink.describe().facts
                tables = deliverer.tables()
            except HeadgateError as error:  # it cannot even be made
                state, facts, tables = self._unmade(declared, error), {}, ()
        return SinkDetails(
            state=state,
            facts=facts,
            tables=tables,
            changes=declared.changes,
            published=self._published(state),
            failure=self._failures.last(name),
        )

    def states(self) -> tuple[SinkState, ...]:
        """Say how far each sink is; also those for which the lake keeps something, undeclared."""
        found = []
        for declared in self._declared.values():
            try:
                with self._deliverer(declared) as deliverer:
                    found.append(deliverer.state())
            except HeadgateError as error:  # it cannot even be made
                found.append(self._unmade(declared, error))
        return (*found, *undeclared_sinks(self._wiring, tuple(self._declared)))

    def deliver(
        self,
        names: Sequence[str],
        *,
        branch: str | None,
        done: Callable[[Delivered], None],
        failed: Callable[[str, HeadgateError], None] | None,
        is_new: bool,
    ) -> tuple[Delivered, ...]:
        """Deliver what sinks lack; one that fails does not keep the others.

        With a ``branch`` only its sinks. Unless something ``is_new``, a sink that has the head as
        far as the lake knows is not asked. Where nobody hears of those that ``failed``, the first
        failure is raised when all were tried.

        Raises:
            NotFound: ``unknown-sink``. And as ``Deliverer.deliver``.
        """
        errors: list[HeadgateError] = []
        chosen = [self._named(name) for name in names] or list(self._declared.values())
        delivered: list[Delivered] = []
        for declared in chosen:
            if branch is not None and self._branch(declared) != branch:
                continue
            try:
                with self._deliverer(declared) as deliverer:
                    if not is_new and deliverer.is_current():
                        continue
                    for each in deliverer.deliver():
                        delivered.append(each)
                        done(each)
                self._failures.forget(declared.name)
            except HeadgateError as error:
                self._failures.note(declared.name, error, self._wiring.clock.now())
                if failed is not None:
                    failed(declared.name, error)
                else:
                    errors.append(error)
        if errors:
            raise errors[0]
        return tuple(delivered)

    def reset(self, name: str, to: Commit | None) -> None:
        """Say what a destination has: the tables at a commit, or nothing.

        Raises:
            NotFound: ``unknown-sink``. And as ``Deliverer.reset``.
        """
        with self._deliverer(self._named(name)) as deliverer:
            deliverer.reset(to)

    def let_go(self, name: str) -> None:
        """Keep nothing for a sink any more.

        Raises:
            NotFound: ``unknown-sink``: nothing is kept for one of that name.
        """
        known = [each.name for each in undeclared_sinks(self._wiring, ())]
        if name in self._declared and name not in known:
            raise NotFound(
                "unknown-sink", f"The lake keeps nothing for the sink {name} yet.", sink=name
            )
        if name not in known:
            raise _unknown(name, [*self._declared, *known])
        let_go_of_sink(self._wiring, name)
        self._failures.forget(name)

    # -- parts

    def _deliverer(self, declared: DeclaredSink) -> Deliverer:
        wiring = self._wiring
        setting = Setting(
            name=declared.name,
            lake=wiring.lake.id,
            root=wiring.root,
            cache=wiring.cache,
            clock=wiring.clock,
            reveal=wiring.reveal,
        )
        return Deliverer(
            wiring=wiring,
            declared=declared,
            make=lambda: self._outside.sink(declared.kind, declared.options, setting),
            branch=self._branch(declared),
        )

    def _branch(self, declared: DeclaredSink) -> str:
        return declared.branch or self._settings.target

    def _named(self, name: str, *, also: Iterable[str] = ()) -> DeclaredSink:
        if name not in self._declared:
            raise _unknown(name, [*self._declared, *also])
        return self._declared[name]

    def _published(self, state: SinkState) -> datetime | None:
        """Give when the commit that a sink has was published, where the lake knows it."""
        if state.has is None or self._wiring.lake.metastore.commit(state.has.commit) is None:
            return None
        return self._wiring.lake.commit(state.has.commit).record.at

    def _unmade(self, declared: DeclaredSink, error: HeadgateError) -> SinkState:
        return SinkState(
            name=declared.name,
            kind=declared.kind,
            title=declared.kind,
            branch=self._branch(declared),
            tables={each.table: each.to for each in declared.tables},
            has=None,
            error=error,
        )


def _unknown(name: str, known: Sequence[str]) -> NotFound:
    meant = suggestion(name, known)
    there = ", ".join(known) or "none"
    return NotFound(
        "unknown-sink",
        f"There is no sink {name!r}; there are: {there}.",
        hint=f"Did you mean {meant}?" if meant else 'Declare one:  NAME = hg.sink("sqlite", ...)',
        sink=name,
    )

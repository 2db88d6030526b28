"""A project's sinks: made where they are asked for, delivered to one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from headgate.errors import HeadgateError, NotFound
from headgate.lake import Commit
from headgate.names import suggestion
from headgate.pipelines import DeclaredSink
from headgate.project.outside import Outside
from headgate.project.settings import Settings
from headgate.runs import (
    Delivered,
    Deliverer,
    SinkState,
    Wiring,
    let_go_of_sink,
    undeclared_sinks,
)
from headgate.sinks import Setting


class Deliveries:
    """The sinks that a project declares, on its lake.

    Args:
        declared: the sinks, as the project's files are now.
        settings: whose target is a sink's branch, where it does not say another.
        outside: makes sinks.
        wiring: what runs work with.
    """

    def __init__(
        self,
        declared: Sequence[DeclaredSink],
        settings: Settings,
        outside: Outside,
        wiring: Wiring,
    ) -> None:
        self._declared = {each.name: each for each in declared}
        self._settings = settings
        self._outside = outside
        self._wiring = wiring

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
            except HeadgateError as error:
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
        if name not in known:
            raise _unknown(name, known)
        let_go_of_sink(self._wiring, name)

    # -- parts

    @contextmanager
    def _deliverer(self, declared: DeclaredSink) -> Iterator[Deliverer]:
        wiring = self._wiring
        setting = Setting(
            name=declared.name,
            lake=wiring.lake.id,
            root=wiring.root,
            cache=wiring.cache,
            clock=wiring.clock,
            reveal=wiring.reveal,
        )
        sink = self._outside.sink(declared.kind, declared.options, setting)
        try:
            yield Deliverer(
                wiring=wiring, declared=declared, sink=sink, branch=self._branch(declared)
            )
        finally:
            sink.close()

    def _branch(self, declared: DeclaredSink) -> str:
        return declared.branch or self._settings.target

    def _named(self, name: str) -> DeclaredSink:
        if name not in self._declared:
            raise _unknown(name, list(self._declared))
        return self._declared[name]

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

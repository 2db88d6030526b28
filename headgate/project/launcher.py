"""The launcher: from what the caller asks for to a run in the hall.

Which pipeline, with which of its steps, under which isolation, with which parameters, and to which
branch it publishes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from headgate.errors import AlreadyExists, NotFound, Refused
from headgate.events import Listener
from headgate.lake import Isolation, Lake, RunRow, table_key
from headgate.pipelines import Graph, Pipeline
from headgate.project.declared_sinks import check_sinks
from headgate.project.declared_sources import check_sources
from headgate.project.discovery import Discovery
from headgate.project.opened import Opened
from headgate.project.parameters import Asked, Settled, given_before, settled
from headgate.project.quarantines import making_table
from headgate.runs import Plan, RunResult


class Launcher:
    """Launches runs of what a project's files declare, as they are then."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._settings = opened.settings

    def run(
        self,
        pipeline: str | None,
        *,
        target: str,
        branch: str | None,
        isolation: Isolation | None,
        parameters: Asked,
        steps: Sequence[str],
        force: bool,
        take_over: Sequence[str],
        listeners: Iterable[Listener],
    ) -> RunResult:
        """Run a pipeline, or some of its ``steps`` and what they need; make the lake if needed.

        With ``branch`` it is published there, not to ``target``, off which the branch is made where
        there is none.

        Raises:
            Refused: ``partial-run``. And as ``Hall.run``.
        """
        chosen, values = self._ready(pipeline, parameters, isolation=isolation, steps=steps)
        lake = self._opened.made_lake()
        if branch is not None:
            if lake.metastore.branch(branch) is None:
                with suppress(AlreadyExists):  # another process was faster
                    lake.create_branch(branch, target)
            target = branch
        if steps and lake.branch(target).protected:
            raise Refused(
                "partial-run",
                f"{target} is protected: a run publishes every step of {chosen.name}, or nothing.",
                hint="Try some of the steps on a branch:  branch='dev'",
                target=target,
            )
        with self._opened.hall(listeners, lake=lake) as hall:
            return hall.run(
                chosen, target=target, parameters=values, force=force, take_over=take_over
            )

    def resume(self, row: RunRow, *, parameters: Asked, listeners: Iterable[Listener]) -> RunResult:
        """Take up an unfinished run with the pipeline as it is declared now.

        Raises:
            As ``Hall.resume``.
        """
        if row.settings.get("policy") == "rebuild":
            _ = self._opened.discovery  # its modules must be importable while steps run
            with self._opened.hall(listeners) as hall:
                return hall.resume_revert(row.id, remake=self.remade)
        by_hand = row.settings.get("kind", "run") != "run"  # the hall refuses it, with the way out
        chosen, values = self._ready(
            None if by_hand else row.pipeline,
            parameters,
            isolation=self._isolation_of(row),
            before=given_before(row.settings),
        )
        with self._opened.hall(listeners) as hall:
            return hall.resume(row.id, chosen, parameters=values)

    def plan(self, pipeline: str | None, *, target: str, parameters: Asked) -> Plan:
        """Say what a run would do; where there is no lake, on the one that the first run makes.

        Raises:
            As ``run``.
        """
        chosen, values = self._ready(pipeline, parameters)
        with ExitStack() as stack:
            try:
                lake = self._opened.lake
            except NotFound:
                lake = stack.enter_context(self._passing_lake(target))
            hall = stack.enter_context(self._opened.hall(lake=lake))
            return hall.plan(chosen, target=target, parameters=values)

    def remade(self, row: RunRow) -> tuple[Pipeline, Settled]:
        """Give a run's pipeline as it is declared now, and the parameters the run was given.

        Raises:
            As ``run``.
        """
        return self._ready(
            row.pipeline,
            (),
            isolation=self._isolation_of(row),
            before=given_before(row.settings),
        )

    def making(self, table: str, ref: str) -> tuple[Pipeline, Settled] | None:
        """Give the pipeline that makes a table, and its parameters; None where none does.

        Raises:
            As ``run``.
        """
        lake = self._opened.lake
        entry = lake.tree(lake.resolve(ref)).get(table_key(table))
        owner = entry.table.owner if entry is not None and entry.table is not None else None
        discovery = self._opened.discovery
        found = making_table(discovery.declared.pipelines, table, owner)
        if found is None:
            return None
        chosen = self._chosen(discovery, found.name)
        return chosen, self._settled(discovery, chosen, ())

    # -- parts

    def _ready(
        self,
        name: str | None,
        parameters: Asked,
        *,
        isolation: Isolation | None = None,
        steps: Sequence[str] = (),
        before: Mapping[str, object] | None = None,
    ) -> tuple[Pipeline, Settled]:
        """Give a pipeline and its parameters, of the files as they are at one moment.

        Refuses what could not be read, or delivered to, before anything begins.
        """
        discovery = self._opened.discovery
        chosen = self._chosen(discovery, name, isolation, steps)
        check_sources(self._opened, chosen.steps)
        if discovery.declared.sinks:
            check_sinks(self._opened, discovery.declared)
        return chosen, self._settled(discovery, chosen, parameters, before=before)

    def _chosen(
        self,
        discovery: Discovery,
        name: str | None,
        isolation: Isolation | None = None,
        steps: Sequence[str] = (),
    ) -> Pipeline:
        """Give a pipeline with what settings and the caller say of it."""
        chosen = discovery.pipeline(name)
        if steps:
            graph = Graph(chosen.steps)
            wanted = {graph[step].name for step in steps}
            needed = wanted.union(*(graph.ancestors(step) for step in wanted))
            chosen = replace(chosen, steps=tuple(s for s in graph.steps if s.name in needed))
        if isolation is None and discovery.is_implied(chosen):
            isolation = cast("Isolation", self._settings.isolation)
        tried = chosen.steps
        if retries := self._settings.retries:
            tried = tuple(replace(step, retries=step.retries or retries) for step in tried)
        return replace(chosen, steps=tried, isolation=isolation or chosen.isolation)

    def _settled(
        self,
        discovery: Discovery,
        pipeline: Pipeline,
        asked: Asked,
        *,
        before: Mapping[str, object] | None = None,
    ) -> Settled:
        return settled(
            pipeline,
            discovery.declared.steps,
            file=self._settings.parameters,
            environment=self._opened.environment,
            asked=asked,
            before=before,
        )

    @contextmanager
    def _passing_lake(self, main: str) -> Iterator[Lake]:
        """Give a lake that is there for the block."""
        from tempfile import TemporaryDirectory  # noqa: PLC0415 - for this case only

        opened = self._opened
        with (
            TemporaryDirectory(prefix="headgate-plan-") as directory,
            Lake.create(Path(directory), clock=opened.clock, ids=opened.ids, main=main) as lake,
        ):
            yield lake

    def _isolation_of(self, row: RunRow) -> Isolation:
        return cast("Isolation", row.settings.get("isolation", self._settings.isolation))

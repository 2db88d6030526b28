"""Project: a directory with settings, pipelines and a lake; everything a user does hangs here."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from headgate.clock import Clock, SystemClock
from headgate.contracts import ContractSpec
from headgate.engines import Engine
from headgate.errors import HeadgateError, NotFound
from headgate.events import Listener
from headgate.lake import Change, Commit, Isolation, Lake, RunRow, RunState
from headgate.names import Ids, RandomIds
from headgate.pipelines import Pipeline
from headgate.project.contracts_at import contract_at, contracts_at
from headgate.project.discovery import Discovery
from headgate.project.launcher import Launcher
from headgate.project.opened import Opened
from headgate.project.outside import Outside
from headgate.project.parameters import Asked
from headgate.project.quarantines import Changing, Quarantine
from headgate.project.reading_settings import read_settings
from headgate.project.run_logs import RunLogs
from headgate.project.settings import Settings
from headgate.project.settings_file import find_root
from headgate.project.source_statuses import SourceStatus, source_statuses
from headgate.project.views import TableHandle, View
from headgate.runs import Plan, RunResult
from headgate.stores import is_address
from headgate.verdicts import Verdict

if TYPE_CHECKING:
    from headgate.lake import BackedUp, IcebergCatalog, Relocated, Swept, Upgraded
    from headgate.project.deliveries import Deliveries, SinkDetails
    from headgate.project.findings import Finding
    from headgate.project.listed_connections import Connection
    from headgate.project.reached_connections import Reached
    from headgate.project.upkeep import Upkeep
    from headgate.runs import (
        Compaction,
        CompactionPlan,
        Delivered,
        Erased,
        Policy,
        RevertPlan,
        SinkState,
        Transaction,
    )


def open_project(
    path: str | Path = ".",
    *,
    profile: str | None = None,
    lake: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    listeners: Iterable[Listener] = (),
) -> "Project":
    """Open the project in a directory, or above it. Reads ``headgate.toml``; makes nothing.

    Args:
        path: the directory that holds ``headgate.toml``, or one below it.
        profile: the profile to lay over the settings; None takes ``HEADGATE_PROFILE``.
        lake: another lake than the settings', relative to the working directory, or a URL.
        environment: what stands for the process's environment.
        clock: what stands for the machine's clock.
        ids: what makes ids.
        listeners: who hears every run's events.

    Raises:
        NotFound: ``no-project``, ``unknown-profile``.
        Invalid: ``bad-settings-file``, ``unknown-setting``, ``bad-setting``.
    """
    given = os.environ if environment is None else environment
    settings = read_settings(find_root(Path(path)), environment=given, profile=profile)
    if lake is not None:
        place = str(lake)
        settings = replace(settings, lake=place if is_address(place) else Path(lake).absolute())
    return Project(
        settings,
        environment=given,
        clock=clock or SystemClock(),
        ids=ids or RandomIds(),
        listeners=tuple(listeners),
    )


class Project:
    """A directory with settings, pipelines and a lake.

    The user's files are imported when a pipeline is first asked for, and again whenever one of
    them changed. The lake is opened at the first use, and made by the first run. Close the project,
    or use ``with``. Safe between threads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        clock: Clock,
        ids: Ids,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.ids = ids
        self.listeners = listeners
        self._opened = Opened(
            settings, environment=environment, clock=clock, ids=ids, listeners=listeners
        )
        self._launcher = Launcher(self._opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            head = f"{self.settings.target}@{self.lake.branch(self.settings.target).head[:6]}"
        except NotFound:
            head = "no lake yet"
        return f"<Project {self.name} in {self.root}: {head}>"

    def _repr_html_(self) -> str:
        try:
            shown = self.at(self.settings.target)._repr_html_()
        except NotFound:
            shown = "no lake yet"
        return f"<b>{self.name}</b> in <code>{self.root}</code><br>{shown}"

    def close(self) -> None:
        """Close the lake and the engine. The project can be used again; it opens them anew.

        What goes on behind publications ends first (``settle``).
        """
        self._opened.close()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait for what goes on behind publications (compaction); False where it goes on still."""
        return self._opened.settle(timeout_s)

    # -- what there is

    @property
    def name(self) -> str:
        """What the project calls itself."""
        return self.settings.name

    @property
    def root(self) -> Path:
        """The directory that holds ``headgate.toml``."""
        return self.settings.root

    @property
    def lake(self) -> Lake:
        """The lake: branches, tags and history.

        Raises:
            NotFound: ``no-lake``: nothing was run yet.
        """
        return self._opened.lake

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The pipelines that the project's files declare, as the files are now."""
        return self.discovery.declared.pipelines

    def pipeline(self, name: str | None = None) -> Pipeline:
        """Give a pipeline by name, or the only one.

        Raises:
            NotFound: ``unknown-pipeline``, ``no-pipelines``.
            Invalid: ``which-pipeline``, ``import-failed``, and what declarations refuse.
        """
        return self.discovery.pipeline(name)

    @property
    def discovery(self) -> Discovery:
        """What the project's files declare; imported again when one of them changed."""
        return self._opened.discovery

    @property
    def logs(self) -> RunLogs:
        """The log files of runs."""
        return self._opened.logs

    @property
    def outside(self) -> Outside:
        """What the project meets outside: who knows its secrets, its sources and sinks."""
        return self._opened.outside

    def engine(self) -> Engine:
        """Give the engine, started at the first use."""
        return self._opened.engine()

    # -- reading

    def at(self, ref: str) -> View:
        """Give the lake as it is at a ref, resolved once.

        Raises:
            NotFound: ``unknown-ref``, ``before-history``, ``no-lake``.
            Invalid: ``bad-ref``, ``bad-instant``, ``ambiguous-ref``.
        """
        return View(self.lake, self.engine, self.lake.resolve(ref), ref)

    def table(self, name: str, *, ref: str | None = None) -> TableHandle:
        """Give a table as readers of the target branch see it now, or at a ref.

        Raises:
            NotFound: ``unknown-table``; and what ``at`` raises.
        """
        return self.at(self._or_target(ref)).table(name)

    def catalog(self, ref: str | None = None, *, session: bool = False) -> "IcebergCatalog":
        """Give a ref as an Iceberg catalog, for any code that knows PyIceberg's ``Catalog``.

        A branch is followed: every ``load_table`` sees its head. With ``session`` the branch is
        read as it is now; a commit fails where it has changed what the session loaded since.
        Branches that are not protected can be written.

        Raises:
            NotFound: ``unknown-ref``.
        """
        lake = import_module("headgate.lake")  # PyIceberg is loaded for those who ask for it
        kind = lake.IcebergSession if session else lake.IcebergCatalog
        return cast("IcebergCatalog", kind(self.lake, self._or_target(ref)))

    def quarantine(self, table: str, *, ref: str | None = None) -> Quarantine:
        """Give the rows that were set aside from a table; on a branch they can be replayed.

        Raises:
            NotFound: ``nothing-quarantined``, ``unknown-table``; and what ``at`` raises.
        """
        ref = self._or_target(ref)
        changing = Changing(
            target=ref,
            lake=self.lake,
            engine=self.engine,
            hall=self._opened.hall,
            making=lambda table: self._launcher.making(table, ref),
        )
        return Quarantine(self.at(ref).quarantine(table), table, changing)

    def log(
        self, ref: str | None = None, *, table: str | None = None, limit: int | None = None
    ) -> Iterator[Commit]:
        """Give a ref's commits, newest first; with ``table`` those that changed it."""
        commit = self.lake.resolve(self._or_target(ref))
        return self.lake.log(commit, limit=limit, table=table)

    def diff(self, before: str, after: str) -> tuple[Change, ...]:
        """Give the entries that differ between two refs."""
        lake = self.lake
        first, second = lake.resolve(before), lake.resolve(after)
        return tuple(lake.tree(first).diff(lake.tree(second)))

    def runs(
        self, *, states: Sequence[RunState] = (), pipeline: str | None = None, limit: int = 100
    ) -> Sequence[RunRow]:
        """Give the latest runs, newest first."""
        return self.lake.metastore.runs(states=states, pipeline=pipeline, limit=limit)

    def find_run(self, id: str) -> RunRow:
        """Give the run whose id begins so; ``run/`` in front is allowed.

        Raises:
            NotFound: ``unknown-run``.
            Refused: ``ambiguous-run``.
        """
        return self._opened.plain_hall().find_run(id)

    def contract(self, table: str, *, ref: str | None = None) -> ContractSpec:
        """Give a table's contract as it holds at a ref.

        Raises:
            NotFound: ``no-contract``, ``unknown-table``; and what ``at`` raises.
        """
        return contract_at(self.at(self._or_target(ref)), table)

    def contracts(self, *, ref: str | None = None) -> Mapping[str, ContractSpec]:
        """Give every contract that holds at a ref, by table."""
        return contracts_at(self.at(self._or_target(ref)))

    def check(self, ref: str | None = None, *, table: str | None = None) -> tuple[Verdict, ...]:
        """Judge every contract at a ref in full, or one table's. Publishes and refuses nothing.

        Raises:
            NotFound: ``no-contract``; and what ``at`` raises.
        """
        commit = self.lake.resolve(self._or_target(ref))
        if table is not None:
            self.contract(table, ref=ref)
        verdicts = self._opened.plain_hall().check(commit)
        return tuple(verdict for verdict in verdicts if table in (None, verdict.table))

    def connections(self, *names: str) -> "tuple[Connection, ...]":
        """List connections of the settings, without secrets, and who uses them; all, or some.

        Raises:
            NotFound: ``unknown-connection``.
        """
        module = import_module("headgate.project.listed_connections")
        found: tuple[Connection, ...] = module.listed_connections(self._opened, names)
        return found

    def try_connections(self, *names: str) -> "Iterator[Reached]":
        """Reach what connections lead to, one after the other; all where none is named.

        A web server is asked once for its address with the credentials, a database ``select 1``, a
        bucket for its first object.

        Raises:
            NotFound: ``unknown-connection``.
        """
        module = import_module("headgate.project.reached_connections")
        found: Iterator[Reached] = module.reached_connections(self._opened, names)
        return found

    def doctor(self, *, files: bool = False) -> tuple["Finding", ...]:
        """Look at the project, the lake and the machine; with ``files`` read every data file."""
        # What it takes to look at a machine is not needed to run.
        examine = import_module("headgate.project.doctor").examine
        return tuple(examine(self._opened, files=files))

    # -- the lake as a whole

    def upgrade(self, *, keep_copy: bool = True) -> "Upgraded":
        """Bring the lake's metastore to today's format; a copy first, then all of it or nothing.

        Raises:
            NotFound: ``no-lake``. Refused: ``runs-at-work``, ``lake-too-new``.
        """
        return self._opened.upgrade(keep_copy=keep_copy)

    def backup(
        self,
        to: str | Path,
        *,
        name: str | None = None,
        metadata_only: bool = False,
        link: bool = False,
        keep: timedelta | None = None,
    ) -> "BackedUp":
        """Copy one state of the lake to a directory while runs go on; see ``lake.back_up``.

        Raises:
            AlreadyExists: ``backup-exists``. Refused: ``another-lakes-backups``.
            Unavailable: ``disk-full``, ``cannot-write``.
        """
        from headgate.lake import back_up  # noqa: PLC0415 - few processes need it

        return back_up(
            self.lake, Path(to), name=name, metadata_only=metadata_only, link=link, keep=keep
        )

    def relocate(self) -> "Relocated":
        """Write the Iceberg files of a moved lake again, with the paths they have now.

        Those that a branch or a tag shows. headgate itself needs none of it.

        Raises:
            Refused: ``runs-at-work``. Corrupt: ``metadata-missing``, ``metadata-damaged``.
        """
        return self._upkeep().relocate()

    def take_over(self) -> str:
        """Make this lake the one that may delete its files, in a new epoch; give the epoch.

        Every other copy of this lake that uses these very files must be gone: what it alone refers
        to would be deleted.
        """
        return self.lake.take_over()

    def verify_backup(self, directory: str | Path, name: str | None = None) -> tuple[str, ...]:
        """Read every byte of a backup, of the newest where None; say what is not as written.

        Raises:
            NotFound: ``no-backup``. Corrupt: ``backup-damaged``. Refused: ``backup-without-files``.
        """
        from headgate.lake import verify_backup  # noqa: PLC0415 - few processes need it

        place = self._opened.place()
        files = None if isinstance(place, Path) else place
        found = verify_backup(Path(directory), name, clock=self.clock, ids=self.ids, lake=files)
        return tuple(dict.fromkeys(found))

    def forget_backup(self, name: str) -> None:
        """Have the lake keep nothing for a backup any more.

        Raises:
            NotFound: ``no-backup``.
        """
        if not self.lake.metastore.delete_backup(name):
            raise NotFound(
                "no-backup",
                f"The lake keeps nothing for a backup {name}.",
                hint="headgate backups  lists those it keeps something for.",
                backup=name,
            )

    # -- publishing

    def run(
        self,
        pipeline: str | None = None,
        *,
        target: str | None = None,
        branch: str | None = None,
        isolation: Isolation | None = None,
        parameters: Asked = (),
        steps: Sequence[str] = (),
        force: bool = False,
        take_over: Sequence[str] = (),
        listeners: Iterable[Listener] = (),
    ) -> RunResult:
        """Run a pipeline and publish what it made: all of it, or nothing. Makes the lake if needed.

        Args:
            pipeline: its name; may be left out where there is only one.
            target: the branch to publish to; None takes the settings'.
            branch: publish to this branch instead, made off the target where it is new.
            isolation: another than the pipeline's.
            parameters: values by name, or texts like ``minimum=10``.
            steps: only these and what they need; not for protected branches. Resumed, the run does
                the others, too.
            force: compute what is published already, too.
            take_over: tables of other pipelines to replace, and to own from now on.
            listeners: who else hears the events.

        Raises:
            StepFailed: a step raised. CheckFailed: a contract is broken.
            Conflict: ``parked``; others published first too often.
            Refused: ``partial-run``, ``tainted``, ...
            NotFound, Invalid: what is asked for, or what the files declare, is wrong.
        """
        return self._launcher.run(
            pipeline,
            target=self._or_target(target),
            branch=branch,
            isolation=isolation,
            parameters=parameters,
            steps=steps,
            force=force,
            take_over=take_over,
            listeners=listeners,
        )

    def resume(
        self, run: str, *, parameters: Asked = (), listeners: Iterable[Listener] = ()
    ) -> RunResult:
        """Take up an unfinished run where it ended; what changed since runs again.

        Parameters that were given when it began hold again; those of files and code are today's.

        Raises:
            NotFound: ``unknown-run``.
            Refused: ``run-is-final``, ``run-is-alive``, ``not-resumable``; and as ``run``.
        """
        return self._launcher.resume(self.find_run(run), parameters=parameters, listeners=listeners)

    def plan(
        self,
        pipeline: str | None = None,
        *,
        target: str | None = None,
        parameters: Asked = (),
    ) -> Plan:
        """Say which steps a run would compute, and why. Runs and writes nothing.

        Raises:
            NotFound, Invalid: as ``run``.
        """
        return self._launcher.plan(pipeline, target=self._or_target(target), parameters=parameters)

    def transaction(self, target: str | None = None, *, name: str = "transaction") -> "Transaction":
        """Begin a transaction by hand: the gate of a run, for code that is no pipeline.

        ``with project.transaction("main", name="manual-fix") as tx:`` publishes at the end of the
        block what ``tx.write`` and ``tx.delete`` did; a block that raises publishes nothing.

        Raises:
            NotFound: ``unknown-branch``.
        """
        self._opened.made_lake()
        return self._opened.plain_hall().transaction(self._or_target(target), name=name)

    def merge(
        self, branch: str, *, into: str | None = None, listeners: Iterable[Listener] = ()
    ) -> RunResult:
        """Publish what a branch has done since it left the target; the same checks, whole or not.

        Raises:
            Conflict: ``cannot-rebase``. Refused: ``tainted``. NotFound: ``unknown-ref``.
            CheckFailed: a contract fails on the union.
        """
        with self._opened.hall(listeners) as hall:
            return hall.merge(branch, self._or_target(into))

    def adopt(self, run: str, *, listeners: Iterable[Listener] = ()) -> RunResult:
        """Publish what an unfinished run made so far; every contract is judged again.

        Raises:
            NotFound: ``unknown-run``. Invalid: ``nothing-to-adopt``.
            CheckFailed, Conflict, Refused: as any publication.
        """
        with self._opened.hall(listeners) as hall:
            return hall.adopt(self.find_run(run).id)

    def abandon(self, run: str) -> RunRow:
        """End an unfinished run for good; its branch stays readable until it is deleted.

        Raises:
            NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
        """
        return self._opened.plain_hall().abandon(run)

    def revert(
        self,
        which: str,
        *,
        target: str | None = None,
        policy: "Policy" = "stale",
        keep_cursor: bool = False,
        listeners: Iterable[Listener] = (),
    ) -> RunResult:
        """Take back a published run, in a new commit.

        Args:
            which: a run's id, or a ref to its publication.
            target: the branch it was published to; None takes the settings'.
            policy: what becomes of what was computed from it: it is marked (``stale``), taken back
                as well (``cascade``), or executed again without it, and all of it published in one
                commit (``rebuild``).
            keep_cursor: leave the run's cursors where they are: its rows are dropped on purpose,
                and not read again.
            listeners: who else hears the events.

        Raises:
            NotFound: ``unknown-ref``. Invalid: ``not-published-here``, ``already-reverted``.
            Refused: ``revert-followed``, ``rebuild-by-hand``, ``rebuild-step-gone``.
            CheckFailed: a contract fails without the run. StepFailed: a step that ran again raised.
        """
        if policy == "rebuild":
            _ = self.discovery  # its modules must be importable while steps run
        with self._opened.hall(listeners) as hall:
            return hall.revert(
                which,
                target=self._or_target(target),
                policy=policy,
                keep_cursor=keep_cursor,
                remake=self._launcher.remade,
            )

    def plan_revert(
        self,
        which: str,
        *,
        target: str | None = None,
        policy: "Policy" = "stale",
        keep_cursor: bool = False,
    ) -> "RevertPlan":
        """Say what ``revert`` would do. Changes nothing.

        Raises:
            As ``revert``.
        """
        return self._opened.plain_hall().plan_revert(
            which, target=self._or_target(target), policy=policy, keep_cursor=keep_cursor
        )

    def compact(
        self,
        *tables: str,
        target: str | None = None,
        due: bool = False,
        listeners: Iterable[Listener] = (),
        done: "Callable[[Compaction], None] | None" = None,
    ) -> "tuple[Compaction, ...]":
        """Rewrite small files of tables, or of all, into files of 128 to 512 MB. Rows stay.

        Runs and readers go on meanwhile; nothing is computed, judged or delivered for it. The old
        files are kept: earlier commits refer to them.

        Args:
            tables: which; all of the branch's where none is named.
            target: the branch; None takes the settings'.
            due: only tables with as many small files as ``lake.compact_after`` says.
            listeners: who else hears the events.
            done: hears of each table as it is finished.

        Raises:
            NotFound: ``unknown-branch``, ``unknown-table``.
            Refused: ``delete-files-unsupported``, ``run-branch``.
            Corrupt: ``data-file-damaged``, ``data-file-missing``. Unavailable: ``disk-full``.
        """
        return self._upkeep().compact(
            self._or_target(target), tables, due=due, listeners=listeners, done=done
        )

    def plan_compaction(
        self, *tables: str, target: str | None = None, due: bool = False
    ) -> "tuple[CompactionPlan, ...]":
        """Say what ``compact`` would rewrite. Changes nothing.

        Raises:
            As ``compact``.
        """
        return self._upkeep().plan_compaction(self._or_target(target), tables, due=due)

    def collect(
        self,
        *,
        grace: timedelta | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> "Swept":
        """Delete what nothing holds and what was marked for as long as the grace; mark more.

        Runs and readers go on meanwhile. What is kept for how long: ``lake.retention``.

        Args:
            grace: another than the settings'.
            progress: told what is being done.

        Raises:
            Refused: ``not-the-owner``, ``grace-too-short``.
            Conflict: ``roots-moved``. Corrupt: what is kept is damaged; nothing is deleted.
        """
        return self._upkeep().collect(grace, progress=progress)

    def plan_collection(self, *, grace: timedelta | None = None) -> "Swept":
        """Say what ``collect`` would delete, what waits, and which runs lose reproducibility."""
        return self._upkeep().plan_collection(grace)

    def erase(
        self,
        tables: str | Sequence[str],
        where: str,
        *,
        reason: str,
        target: str | None = None,
        wait: timedelta = timedelta(0),
        listeners: Iterable[Listener] = (),
    ) -> "Erased":
        """Erase rows from every commit of the lake, its quarantine and its logs, for good.

        Commits keep their ids. A commit on the target holds the certificate, without the condition.

        Args:
            tables: one or several tables, whose quarantine is looked through, too.
            where: a SQL condition over columns that all of them have.
            reason: why, for the certificate; it must not say who.
            target: the branch that gets the certificate's commit; None takes the settings'.
            wait: how long to wait for readers that hold on to the files.
            listeners: who hears the events.

        Raises:
            NotFound: ``unknown-table``. Invalid: ``bad-condition``, ``reason-names-value``.
            Refused: ``readers-at-work``. Conflict: ``parked``.
        """
        return self._upkeep().erase(
            tables,
            where,
            reason=reason,
            target=self._or_target(target),
            wait=wait,
            listeners=listeners,
        )

    def plan_erase(
        self, tables: str | Sequence[str], where: str, *, target: str | None = None
    ) -> "Erased":
        """Say what ``erase`` would do. Changes nothing.

        Raises:
            As ``erase``.
        """
        return self._upkeep().plan_erase(tables, where, target=self._or_target(target))

    # -- sources

    def sources(
        self, *, ref: str | None = None, ask: str | None = None
    ) -> tuple[SourceStatus, ...]:
        """Say of every declared source how far it was read. None but ``ask`` is asked.

        Args:
            ref: the ref to look at; None takes the settings' target.
            ask: the source that tells what is kept outside for it now, if anything.

        Raises:
            NotFound: ``unknown-ref``. What the asked source raises.
        """
        return tuple(source_statuses(self._opened, ref=self._or_target(ref), ask=ask))

    # -- sinks

    def sinks(self) -> "tuple[SinkState, ...]":
        """Say how far each sink is. One that does not answer is told as it was last known."""
        return self._deliveries().states()

    def sink(self, name: str) -> "SinkDetails":
        """Say all that is known of a sink: its tables, how far it is, and why it is no further.

        Raises:
            NotFound: ``unknown-sink``, ``no-lake``.
        """
        return self._deliveries().details(name)

    def deliver(
        self,
        *sinks: str,
        branch: str | None = None,
        is_new: bool = True,
        done: "Callable[[Delivered], None]" = lambda _: None,
        failed: Callable[[str, HeadgateError], None] | None = None,
    ) -> "tuple[Delivered, ...]":
        """Deliver each published commit that sinks lack, in order, each once.

        Args:
            sinks: their names; all where none is named.
            branch: only sinks of this branch.
            is_new: False does not ask sinks that have all, as far as the lake knows.
            done: hears of each commit as it has arrived.
            failed: hears of each sink that fails; the others go on. Without it the first failure
                is raised when all were tried.

        Raises:
            NotFound: ``unknown-sink``, ``no-lake``, ``sink-history-gone``.
            Unavailable: ``sink-unreachable``, ``sink-busy``. Refused, Invalid: ``sink-...``.
        """
        return self._deliveries().deliver(
            sinks, branch=branch, is_new=is_new, done=done, failed=failed
        )

    def reset_sink(self, sink: str, *, to: str | None = None) -> None:
        """Have a sink begin anew, with whole tables; or say to which ref what is there is equal.

        Raises:
            NotFound: ``unknown-sink``, ``unknown-ref``. Unavailable: ``sink-unreachable``.
        """
        commit = None if to is None else self.lake.resolve(to)
        self._deliveries().reset(sink, commit)

    def drop_sink(self, sink: str) -> None:
        """Keep nothing more for a sink; what was delivered stays where it is.

        Raises:
            NotFound: ``unknown-sink``.
        """
        self._deliveries().let_go(sink)

    # -- parts

    def _deliveries(self) -> "Deliveries":
        from headgate.project.deliveries import Deliveries  # noqa: PLC0415 - few need it

        return Deliveries(self._opened)

    def _upkeep(self) -> "Upkeep":
        from headgate.project.upkeep import Upkeep  # noqa: PLC0415 - few need it

        return Upkeep(self._opened)

    def _or_target(self, name: str | None) -> str:
        """Give the settings' target where nothing was named; an empty name is not nothing."""
        return self.settings.target if name is None else name

"""Project: a directory with settings, pipelines and a lake; everything a user does hangs here."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from headgate.clock import Clock, SystemClock
from headgate.contracts import EVALUATOR, ContractSpec
from headgate.engines import Engine
from headgate.errors import AlreadyExists, HeadgateError, Interrupted, NotFound, Refused
from headgate.events import Listener
from headgate.lake import (
    Change,
    Commit,
    Isolation,
    Lake,
    RetentionPolicy,
    RunRow,
    RunState,
    contract_key,
    table_key,
)
from headgate.names import Ids, RandomIds
from headgate.pipelines import Graph, Pipeline
from headgate.project.compactor import Compactor
from headgate.project.connections import connected
from headgate.project.discovery import Discovery, discover
from headgate.project.engines import make_engine
from headgate.project.lakes import create_lake, lake_place, open_lake
from headgate.project.outside import Outside
from headgate.project.parameters import Asked, Settled, given_before, settled
from headgate.project.quarantines import Changing, Quarantine, making_table
from headgate.project.reading_settings import read_settings
from headgate.project.run_logs import RunLogs
from headgate.project.settings import COMPACT_AFTER, Settings
from headgate.project.settings_file import find_root
from headgate.project.source_statuses import SourceStatus, source_statuses
from headgate.project.views import TableHandle, View
from headgate.runs import Hall, Plan, Request, RunResult, Wiring, is_alive, is_at_work, owner_name
from headgate.sources import Setting
from headgate.stores import is_address
from headgate.verdicts import Verdict

if TYPE_CHECKING:
    from headgate.lake import BackedUp, IcebergCatalog, Relocated, Swept, Upgraded
    from headgate.project.deliveries import Deliveries
    from headgate.project.findings import Finding
    from headgate.project.listed_connections import Connection
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

_FEWEST_WORKERS = 2


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
        self.logs = RunLogs(settings.logs)
        self.outside = Outside(settings, environment)
        self._environment = environment
        self._lock = RLock()
        self._lake: Lake | None = None
        self._engine: Engine | None = None
        self._discovery: Discovery | None = None
        self._compactor = Compactor(
            settings.compact_after, lake=lambda: self.lake, hall=self._plain_hall
        )

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
        try:
            self.settle()
        except KeyboardInterrupt:
            if self._engine is not None:
                self._engine.interrupt()
            raise
        with self._lock:
            engine, lake = self._engine, self._lake
            self._engine = self._lake = None
        self.logs.close()
        if engine is not None:
            engine.close()
        if lake is not None:
            lake.close()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait for what goes on behind publications (compaction); False where it goes on still."""
        return self._compactor.wait(timeout_s)

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
        with self._lock:
            if self._lake is None:
                self._lake = open_lake(
                    self.settings,
                    environment=self._environment,
                    clock=self.clock,
                    ids=self.ids,
                )
            return self._lake

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
        with self._lock:
            if self._discovery is None or not self._discovery.is_current(self.settings):
                self._discovery = discover(self.settings, clock=self.clock)
            return self._discovery

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
            hall=lambda listeners: self._hall(self.lake, listeners),
            making=lambda table: self._making(table, ref),
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
        return self._plain_hall().find_run(id)

    def contract(self, table: str, *, ref: str | None = None) -> ContractSpec:
        """Give a table's contract as it holds at a ref.

        Raises:
            NotFound: ``no-contract``, ``unknown-table``; and what ``at`` raises.
        """
        view = self.at(self._or_target(ref))
        entry = view.tree.get(contract_key(table))
        if entry is None or entry.data is None:
            view.table(table)
            raise NotFound(
                "no-contract",
                f"{table} has no contract at {view.ref}.",
                hint="headgate contract list  shows which tables have one.",
                table=table,
            )
        return ContractSpec.from_json(entry.data)

    def contracts(self, *, ref: str | None = None) -> Mapping[str, ContractSpec]:
        """Give every contract that holds at a ref, by table."""
        view = self.at(self._or_target(ref))
        return {
            key.removeprefix(contract_key("")): ContractSpec.from_json(entry.data)
            for key, entry in view.tree.items(contract_key(""))
            if entry.data is not None
        }

    def connections(self) -> "tuple[Connection, ...]":
        """List the settings' connections, without secrets, and who uses them."""
        list_them = import_module("headgate.project.listed_connections").listed_connections
        declared = self.discovery.declared
        used = [(each.name, each.source.options) for each in declared.steps if each.source]
        used += [(each.name, each.options) for each in declared.sinks]
        found: tuple[Connection, ...] = list_them(
            self.settings.connections,
            used,
            knows=self.outside.knows,
            clean=self.outside.redaction.text,
        )
        return found

    def doctor(self, *, files: bool = False) -> tuple["Finding", ...]:
        """Look at the project, the lake and the machine; with ``files`` read every data file."""
        # What it takes to look at a machine is not needed to run.
        examine = import_module("headgate.project.doctor").examine
        found = examine(
            self.settings,
            clock=self.clock,
            pipelines=lambda: self.pipelines,
            open_lake=lambda: self.lake,
            files=files,
        )
        return tuple(found)

    # -- the lake as a whole

    def upgrade(self, *, keep_copy: bool = True) -> "Upgraded":
        """Bring the lake's metastore to today's format; a copy first, then all of it or nothing.

        Raises:
            NotFound: ``no-lake``. Refused: ``runs-at-work``, ``lake-too-new``.
        """
        with self._lock:
            lake, self._lake = self._lake, None
            if lake is not None:
                lake.close()
        return Lake.upgrade(
            lake_place(self.settings, environment=self._environment, clock=self.clock),
            clock=self.clock,
            is_alive=is_alive,
            keep_copy=keep_copy,
            metastore=self.settings.metastore,
        )

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
        from headgate.lake import relocate, table_entries  # noqa: PLC0415 - few processes need it

        lake = self.lake
        states, now = (RunState.RUNNING, RunState.PUBLISHING), self.clock.now()
        working = [run.id for run in self.runs(states=states) if is_at_work(run, now)]
        if working:
            raise Refused(
                "runs-at-work",
                f"Runs are at work: {', '.join(working)}.",
                hint="Wait for their end:  headgate status",
                runs=working,
            )
        heads = [each.head for each in lake.branches()] + [each.commit for each in lake.tags()]
        bodies = [entry.table for _, entry in table_entries(lake, heads) if entry.table is not None]
        done = relocate(lake.storage, bodies)
        lake.tables.forget()
        return done

    def take_over(self) -> str:
        """Make this lake the one that may delete its files, in a new epoch; give the epoch.

        Every other copy of this lake that uses these very files must be gone: what it alone refers
        to would be deleted.
        """
        return self.lake.take_over()

    def verify_backup(self, directory: str | Path, name: str | None = None) -> tuple[str, ...]:
        """Read every byte of a backup, of the newest where None; say what is not as written.

        Raises:
            NotFound: ``no-backup``. Corrupt: ``backup-damaged``.
        """
        from headgate.lake import verify_backup  # noqa: PLC0415 - few processes need it

        found = verify_backup(Path(directory), name, clock=self.clock, ids=self.ids)
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
        chosen = self._chosen(pipeline, isolation, steps)
        values = self._settled(chosen, parameters)
        lake = self._made_lake()
        target = self._or_target(target)
        if branch is not None:
            if lake.metastore.branch(branch) is None:
                with contextlib.suppress(AlreadyExists):  # another process was faster
                    lake.create_branch(branch, target)
            target = branch
        if steps and lake.branch(target).protected:
            raise Refused(
                "partial-run",
                f"{target} is protected: a run publishes every step of {chosen.name}, or nothing.",
                hint="Try some of the steps on a branch:  branch='dev'",
                target=target,
            )
        with self._hall(lake, listeners) as hall:
            return hall.run(
                chosen, target=target, parameters=values, force=force, take_over=take_over
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
        row = self.find_run(run)
        if row.settings.get("policy") == "rebuild":
            _ = self.discovery
            with self._hall(self.lake, listeners) as hall:
                return hall.resume_revert(row.id, remake=self._remade)
        isolation = cast("Isolation", row.settings.get("isolation", self.settings.isolation))
        by_hand = row.settings.get("kind", "run") != "run"  # the hall refuses it, with the way out
        chosen = self._chosen(None if by_hand else row.pipeline, isolation, ())
        values = self._settled(chosen, parameters, before=given_before(row.settings))
        with self._hall(self.lake, listeners) as hall:
            return hall.resume(row.id, chosen, parameters=values)

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
        chosen = self._chosen(pipeline, None, ())
        values = self._settled(chosen, parameters)
        target = self._or_target(target)
        with contextlib.ExitStack() as stack:
            try:
                lake = self.lake
            except NotFound:  # nothing was ever run: plan for the lake that the first run makes
                from tempfile import TemporaryDirectory  # noqa: PLC0415 - for this case only

                directory = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-plan-")))
                lake = stack.enter_context(
                    Lake.create(directory, clock=self.clock, ids=self.ids, main=target)
                )
            hall = stack.enter_context(self._hall(lake, ()))
            return hall.plan(chosen, target=target, parameters=values)

    def transaction(self, target: str | None = None, *, name: str = "transaction") -> "Transaction":
        """Begin a transaction by hand: the gate of a run, for code that is no pipeline.

        ``with project.transaction("main", name="manual-fix") as tx:`` publishes at the end of the
        block what ``tx.write`` and ``tx.delete`` did; a block that raises publishes nothing.

        Raises:
            NotFound: ``unknown-branch``.
        """
        self._made_lake()
        return self._plain_hall().transaction(self._or_target(target), name=name)

    def merge(
        self, branch: str, *, into: str | None = None, listeners: Iterable[Listener] = ()
    ) -> RunResult:
        """Publish what a branch has done since it left the target; the same checks, whole or not.

        Raises:
            Conflict: ``cannot-rebase``. Refused: ``tainted``. NotFound: ``unknown-ref``.
            CheckFailed: a contract fails on the union.
        """
        with self._hall(self.lake, listeners) as hall:
            return hall.merge(branch, self._or_target(into))

    def adopt(self, run: str, *, listeners: Iterable[Listener] = ()) -> RunResult:
        """Publish what an unfinished run made so far; every contract is judged again.

        Raises:
            NotFound: ``unknown-run``. Invalid: ``nothing-to-adopt``.
            CheckFailed, Conflict, Refused: as any publication.
        """
        with self._hall(self.lake, listeners) as hall:
            return hall.adopt(self.find_run(run).id)

    def abandon(self, run: str) -> RunRow:
        """End an unfinished run for good; its branch stays readable until it is deleted.

        Raises:
            NotFound: ``unknown-run``. Refused: ``run-is-final``, ``run-is-alive``.
        """
        return self._plain_hall().abandon(run)

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
        with self._hall(self.lake, listeners) as hall:
            return hall.revert(
                which,
                target=self._or_target(target),
                policy=policy,
                keep_cursor=keep_cursor,
                remake=self._remade,
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
        return self._plain_hall().plan_revert(
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
        with self._hall(self.lake, listeners) as hall:
            after = self._due_after() if due else 0
            return hall.compact(self._or_target(target), tables, after=after, done=done)

    def plan_compaction(
        self, *tables: str, target: str | None = None, due: bool = False
    ) -> "tuple[CompactionPlan, ...]":
        """Say what ``compact`` would rewrite. Changes nothing.

        Raises:
            As ``compact``.
        """
        after = self._due_after() if due else 0
        return self._plain_hall().plan_compaction(self._or_target(target), tables, after=after)

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
        with self._hall(self.lake, ()) as hall:
            return hall.collect(self._retention(grace), progress=progress)

    def plan_collection(self, *, grace: timedelta | None = None) -> "Swept":
        """Say what ``collect`` would delete, what waits, and which runs lose reproducibility."""
        return self._plain_hall().collect(self._retention(grace), plan=True)

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
        with self._hall(self.lake, listeners) as hall:
            return hall.erase(
                self._erasing(tables, where, reason, target, wait=wait),
                drop_caches=lambda: shutil.rmtree(self.settings.cache, ignore_errors=True),
            )

    def plan_erase(
        self, tables: str | Sequence[str], where: str, *, target: str | None = None
    ) -> "Erased":
        """Say what ``erase`` would do. Changes nothing.

        Raises:
            As ``erase``.
        """
        request = self._erasing(tables, where, "", target, only_plan=True)
        return self._plain_hall().erase(request, drop_caches=lambda: None)

    def _erasing(
        self,
        tables: str | Sequence[str],
        where: str,
        reason: str,
        target: str | None,
        *,
        wait: timedelta = timedelta(0),
        only_plan: bool = False,
    ) -> "Request":
        self.logs.close()  # they are written again
        return Request(
            tables=(tables,) if isinstance(tables, str) else tuple(tables),
            where=where,
            reason=reason,
            target=self._or_target(target),
            logs=(self.settings.logs,),
            wait=wait,
            only_plan=only_plan,
        )

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
        try:
            lake: Lake | None = self.lake
        except NotFound:  # nothing was ever run
            lake = None
        found = source_statuses(
            self.pipelines,
            make=self.outside.source,
            setting=Setting(
                root=self.root,
                cache=self.settings.cache / "sources",
                reveal=self.outside.reveal,
            ),
            lake=lake,
            ref=self._or_target(ref),
            now=self.clock.now(),
            ask=ask,
        )
        return tuple(found)

    # -- sinks

    def sinks(self) -> "tuple[SinkState, ...]":
        """Say how far each sink is. One that does not answer is told as it was last known."""
        return self._deliveries().states()

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
        errors: list[HeadgateError] = []
        delivered = self._deliveries().deliver(
            sinks,
            branch=branch,
            done=done,
            failed=failed or (lambda _, error: errors.append(error)),
            is_new=is_new,
        )
        if errors:
            raise errors[0]
        return delivered

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

    def _deliveries(self) -> "Deliveries":
        from headgate.project.deliveries import Deliveries  # noqa: PLC0415 - few need it

        return Deliveries(
            self.discovery.declared.sinks,
            self.settings,
            self.outside,
            self._wiring(self.lake, ()),
        )

    def check(self, ref: str | None = None, *, table: str | None = None) -> tuple[Verdict, ...]:
        """Judge every contract at a ref in full, or one table's. Publishes and refuses nothing.

        Raises:
            NotFound: ``no-contract``; and what ``at`` raises.
        """
        commit = self.lake.resolve(self._or_target(ref))
        if table is not None:
            self.contract(table, ref=ref)
        verdicts = self._plain_hall().check(commit)
        return tuple(verdict for verdict in verdicts if table in (None, verdict.table))

    # -- parts

    def _due_after(self) -> int:
        """Give the policy's number of files, also where nothing happens without being asked."""
        return self.settings.compact_after or COMPACT_AFTER

    def _retention(self, grace: timedelta | None) -> RetentionPolicy:
        settings = self.settings
        return RetentionPolicy(
            history=settings.history,
            unfinished=settings.unfinished,
            grace=settings.grace if grace is None else grace,
        )

    def _or_target(self, name: str | None) -> str:
        """Give the settings' target where nothing was named; an empty name is not nothing."""
        return self.settings.target if name is None else name

    @contextlib.contextmanager
    def _hall(self, lake: Lake, listeners: Iterable[Listener]) -> Iterator[Hall]:
        """Give the hall, with the user's modules importable while it is at work."""
        with contextlib.ExitStack() as stack:
            if self._discovery is not None:
                stack.enter_context(self._discovery.code.importable())
            try:
                yield Hall(self._wiring(lake, listeners), evaluator=self._evaluator())
            except Interrupted:
                if self._engine is not None:
                    self._engine.interrupt()
                raise

    def _plain_hall(self) -> Hall:
        """Give the hall for what runs none of the user's steps."""
        return Hall(self._wiring(self.lake, ()), evaluator=self._evaluator())

    def _wiring(self, lake: Lake, listeners: Iterable[Listener]) -> Wiring:
        return Wiring(
            lake=lake,
            engine=self.engine,
            clock=self.clock,
            ids=self.ids,
            root=self.root,
            cache=self.settings.cache,
            owner=owner_name(),
            source=self.outside.source,
            listeners=(self.logs, *self.listeners, *listeners, self._compactor),
            parallel=self.settings.workers or max(os.cpu_count() or 1, _FEWEST_WORKERS),
            reveal=self.outside.reveal,
            redaction=self.outside.redaction,
        )

    def _evaluator(self) -> str:
        """Name what computes and judges: another engine's output is another output."""
        return f"{self.settings.engine}/{EVALUATOR}"

    def _chosen(
        self, name: str | None, isolation: Isolation | None, steps: Sequence[str]
    ) -> Pipeline:
        chosen = self.pipeline(name)
        for each in chosen.steps:
            if each.source is not None:
                connected(self.settings.connections, each.source.options)
        if steps:
            graph = Graph(chosen.steps)
            wanted = {graph[step].name for step in steps}
            needed = wanted.union(*(graph.ancestors(step) for step in wanted))
            chosen = replace(chosen, steps=tuple(s for s in graph.steps if s.name in needed))
        if isolation is None and self.discovery.is_implied(chosen):
            isolation = cast("Isolation", self.settings.isolation)
        tried = chosen.steps
        if retries := self.settings.retries:
            tried = tuple(replace(step, retries=step.retries or retries) for step in tried)
        return replace(chosen, steps=tried, isolation=isolation or chosen.isolation)

    def _making(self, table: str, ref: str) -> tuple[Pipeline, Settled] | None:
        """Give the pipeline that makes a table, and its parameters; None where none does."""
        entry = self.lake.tree(self.lake.resolve(ref)).get(table_key(table))
        owner = entry.table.owner if entry is not None and entry.table is not None else None
        found = making_table(self.pipelines, table, owner)
        if found is None:
            return None
        chosen = self._chosen(found.name, None, ())
        return chosen, self._settled(chosen, ())

    def _remade(self, row: RunRow) -> tuple[Pipeline, Settled]:
        """Give a run's pipeline as it is declared now, and the parameters the run was given."""
        isolation = cast("Isolation", row.settings.get("isolation", self.settings.isolation))
        chosen = self._chosen(row.pipeline, isolation, ())
        return chosen, self._settled(chosen, (), before=given_before(row.settings))

    def _settled(
        self,
        pipeline: Pipeline,
        asked: Asked,
        *,
        before: Mapping[str, object] | None = None,
    ) -> Settled:
        return settled(
            pipeline,
            self.discovery.declared.steps,
            file=self.settings.parameters,
            environment=self._environment,
            asked=asked,
            before=before,
        )

    def engine(self) -> Engine:
        """Give the engine, started at the first use."""
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.settings, self.ids)
            return self._engine

    def _made_lake(self) -> Lake:
        """Give the lake; make it if there is none."""
        try:
            return self.lake
        except NotFound:
            with contextlib.suppress(AlreadyExists), self._lock:  # another process was faster
                self._lake = create_lake(
                    self.settings,
                    environment=self._environment,
                    clock=self.clock,
                    ids=self.ids,
                    main=self.settings.target,
                )
            return self.lake

"""What a project has open: its lake, its engine, and what its files declare.

Each is there from its first use on; the hall, where runs happen, is made of them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from headgate.clock import Clock
from headgate.contracts import EVALUATOR
from headgate.engines import Engine
from headgate.errors import AlreadyExists, Interrupted, NotFound
from headgate.events import Listener
from headgate.lake import Lake, Storage
from headgate.names import Ids
from headgate.project.compactor import Compactor
from headgate.project.discovery import Discovery, discover
from headgate.project.engines import make_engine
from headgate.project.lakes import create_lake, lake_place, open_lake
from headgate.project.outside import Outside
from headgate.project.run_logs import RunLogs
from headgate.project.settings import Settings
from headgate.runs import Hall, Wiring, is_alive, owner_name

if TYPE_CHECKING:
    from headgate.lake import Upgraded

_FEWEST_WORKERS = 2


class Opened:
    """The parts of a project. Closed, they can be used again: they are opened anew.

    Safe between threads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        clock: Clock,
        ids: Ids,
        listeners: tuple[Listener, ...],
    ) -> None:
        self.settings = settings
        self.environment = environment
        self.clock = clock
        self.ids = ids
        self.logs = RunLogs(settings.logs)
        self.outside = Outside(settings, environment)
        self._listeners = listeners
        self._lock = RLock()
        self._lake: Lake | None = None
        self._engine: Engine | None = None
        self._discovery: Discovery | None = None
        self._compactor = Compactor(
            settings.compact_after, lake=lambda: self.lake, hall=self.plain_hall
        )

    def close(self) -> None:
        """Close what is open, after what goes on behind publications has ended."""
        try:
            self.settle()
        except KeyboardInterrupt:
            self.interrupt()
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
        """Wait for what goes on behind publications; False where it goes on still."""
        return self._compactor.wait(timeout_s)

    def interrupt(self) -> None:
        """Have the engine stop what it computes, if there is one."""
        if self._engine is not None:
            self._engine.interrupt()

    # -- the parts

    @property
    def lake(self) -> Lake:
        """The lake.

        Raises:
            NotFound: ``no-lake``: nothing was run yet.
        """
        with self._lock:
            if self._lake is None:
                self._lake = open_lake(
                    self.settings, environment=self.environment, clock=self.clock, ids=self.ids
                )
            return self._lake

    def made_lake(self) -> Lake:
        """Give the lake; make it if there is none."""
        try:
            return self.lake
        except NotFound:
            with suppress(AlreadyExists), self._lock:  # another process was faster
                self._lake = create_lake(
                    self.settings,
                    environment=self.environment,
                    clock=self.clock,
                    ids=self.ids,
                    main=self.settings.target,
                )
            return self.lake

    def upgrade(self, *, keep_copy: bool) -> "Upgraded":
        """Bring the lake to today's format; what was open of it is closed.

        Raises:
            As ``Lake.upgrade``.
        """
        with self._lock:
            lake, self._lake = self._lake, None
            if lake is not None:
                lake.close()
        return Lake.upgrade(
            self.place(),
            clock=self.clock,
            is_alive=is_alive,
            keep_copy=keep_copy,
            metastore=self.settings.metastore,
        )

    def place(self) -> Path | Storage:
        """Give where the lake's files are, also where it cannot be opened.

        Raises:
            As ``lake_place``.
        """
        return lake_place(self.settings, environment=self.environment, clock=self.clock)

    def engine(self) -> Engine:
        """Give the engine."""
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.settings, self.ids)
            return self._engine

    @property
    def discovery(self) -> Discovery:
        """What the project's files declare; imported again when one of them changed."""
        with self._lock:
            if self._discovery is None or not self._discovery.is_current(self.settings):
                self._discovery = discover(self.settings, clock=self.clock)
            return self._discovery

    # -- the hall they make

    @contextmanager
    def hall(
        self, listeners: Iterable[Listener] = (), *, lake: Lake | None = None
    ) -> Iterator[Hall]:
        """Give the hall, with the user's modules importable while it is at work.

        Those that were imported: what runs the user's steps asks for ``discovery`` before.

        Args:
            listeners: who else hears the events.
            lake: another than the project's.
        """
        with ExitStack() as stack:
            if self._discovery is not None:
                stack.enter_context(self._discovery.code.importable())
            try:
                yield self._hall_of(self.wiring(listeners, lake=lake))
            except Interrupted:
                self.interrupt()
                raise

    def plain_hall(self) -> Hall:
        """Give the hall for what runs none of the user's steps."""
        return self._hall_of(self.wiring())

    def wiring(self, listeners: Iterable[Listener] = (), *, lake: Lake | None = None) -> Wiring:
        """Give what runs work with."""
        return Wiring(
            lake=self.lake if lake is None else lake,
            engine=self.engine,
            clock=self.clock,
            ids=self.ids,
            root=self.settings.root,
            cache=self.settings.cache,
            owner=owner_name(),
            source=self.outside.source,
            listeners=(self.logs, *self._listeners, *listeners, self._compactor),
            parallel=self.settings.workers or max(os.cpu_count() or 1, _FEWEST_WORKERS),
            reveal=self.outside.reveal,
            redaction=self.outside.redaction,
        )

    def _hall_of(self, wiring: Wiring) -> Hall:
        """Give the hall. Another engine's output, or another judge's, is another output."""
        return Hall(wiring, evaluator=f"{self.settings.engine}/{EVALUATOR}")

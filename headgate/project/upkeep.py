"""Upkeep: small files made few, what nothing holds deleted, rows erased, moved files named anew."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from headgate.errors import Refused
from headgate.events import Listener
from headgate.lake import RetentionPolicy, RunState, relocate, table_entries
from headgate.project.opened import Opened
from headgate.project.settings import COMPACT_AFTER
from headgate.runs import Request, is_at_work

if TYPE_CHECKING:
    from headgate.lake import Relocated, Swept
    from headgate.runs import Compaction, CompactionPlan, Erased


class Upkeep:
    """What is done now and then for a project's lake, as its settings say."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._settings = opened.settings

    def compact(
        self,
        target: str,
        tables: Sequence[str],
        *,
        due: bool,
        listeners: Iterable[Listener],
        done: "Callable[[Compaction], None] | None",
    ) -> "tuple[Compaction, ...]":
        """Rewrite small files of tables, or of all; with ``due`` where there are enough of them.

        Raises:
            As ``Hall.compact``.
        """
        with self._opened.hall(listeners) as hall:
            return hall.compact(target, tables, after=self._after(due=due), done=done)

    def plan_compaction(
        self, target: str, tables: Sequence[str], *, due: bool
    ) -> "tuple[CompactionPlan, ...]":
        """Say what ``compact`` would rewrite."""
        hall = self._opened.plain_hall()
        return hall.plan_compaction(target, tables, after=self._after(due=due))

    def collect(self, grace: timedelta | None, *, progress: Callable[[str], None]) -> "Swept":
        """Delete what nothing holds; ``grace`` is another than the settings'.

        Raises:
            As ``Hall.collect``.
        """
        with self._opened.hall() as hall:
            return hall.collect(self._retention(grace), progress=progress)

    def plan_collection(self, grace: timedelta | None) -> "Swept":
        """Say what ``collect`` would delete."""
        return self._opened.plain_hall().collect(self._retention(grace), plan=True)

    def erase(
        self,
        tables: str | Sequence[str],
        where: str,
        *,
        reason: str,
        target: str,
        wait: timedelta,
        listeners: Iterable[Listener],
    ) -> "Erased":
        """Erase rows from every commit, the runs' logs and the cache.

        Raises:
            As ``Hall.erase``.
        """
        settings = self._settings
        self._opened.logs.close()  # they are written again
        request = Request(
            tables=_several(tables),
            where=where,
            reason=reason,
            target=target,
            logs=(settings.logs,),
            wait=wait,
        )
        with self._opened.hall(listeners) as hall:
            return hall.erase(
                request, drop_caches=lambda: shutil.rmtree(settings.cache, ignore_errors=True)
            )

    def plan_erase(self, tables: str | Sequence[str], where: str, *, target: str) -> "Erased":
        """Say what ``erase`` would do."""
        request = Request(
            tables=_several(tables), where=where, reason="", target=target, only_plan=True
        )
        return self._opened.plain_hall().erase(request, drop_caches=lambda: None)

    def relocate(self) -> "Relocated":
        """Write the Iceberg files that branches and tags show again, with the paths they have now.

        Raises:
            Refused: ``runs-at-work``. And as ``headgate.lake.relocate``.
        """
        lake = self._opened.lake
        states, now = (RunState.RUNNING, RunState.PUBLISHING), self._opened.clock.now()
        working = [run.id for run in lake.metastore.runs(states=states) if is_at_work(run, now)]
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

    def _after(self, *, due: bool) -> int:
        """Give the fewest small files that are worth it, also where nobody compacts unasked."""
        return (self._settings.compact_after or COMPACT_AFTER) if due else 0

    def _retention(self, grace: timedelta | None) -> RetentionPolicy:
        settings = self._settings
        return RetentionPolicy(
            history=settings.history,
            unfinished=settings.unfinished,
            grace=settings.grace if grace is None else grace,
        )


def _several(tables: str | Sequence[str]) -> tuple[str, ...]:
    return (tables,) if isinstance(tables, str) else tuple(tables)

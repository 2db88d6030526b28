"""What the doctor says of a lake's life: who may delete, backups, moves, memory, clocks."""

from collections.abc import Iterator
from datetime import timedelta

from headgate.clock import Clock
from headgate.engines import machine_memory
from headgate.errors import Corrupt
from headgate.lake import Lake, RunState, is_moved, table_entries, why_not_owner
from headgate.project.engines import budget_bytes, spill_directory, spilled_bytes
from headgate.project.findings import Finding
from headgate.project.settings import Settings

_CLOCK_AHEAD = timedelta(minutes=5)
_SHOWN = 5


def life(settings: Settings, lake: Lake, clock: Clock) -> Iterator[Finding]:
    """Give the findings, one by one."""
    yield _epoch(lake)
    yield _backups(lake, clock)
    yield from _moved(lake, settings.target)
    yield from _memory(settings)
    yield from _clocks(lake, clock)


def _epoch(lake: Lake) -> Finding:
    reason = why_not_owner(lake.storage, lake.metastore)
    if reason is None:
        return Finding(what="epoch", level="ok", found="this lake may delete its own files")
    return Finding(
        what="epoch",
        level="note",
        found=f"no file may be deleted from here: {reason}",
        hint="If no other copy of this lake uses these files:  headgate doctor --take-over",
    )


def _backups(lake: Lake, clock: Clock) -> Finding:
    now = clock.now()
    taken = lake.metastore.backups()
    kept = [each for each in taken if each.commits and (not each.expires or each.expires > now)]
    whole = [each for each in taken if not each.commits]
    if not taken:
        return Finding(
            what="backups",
            level="ok",
            found="none was taken yet; one is taken while runs go on:  headgate backup DIRECTORY",
        )
    last = max(whole, key=lambda each: each.created, default=None)
    parts = []
    if last is not None:
        parts.append(f"the last was taken {last.created:%Y-%m-%d %H:%M} UTC to {last.location}")
    if kept:
        named = ", ".join(each.name for each in kept[:_SHOWN])
        parts.append(f"files are kept for {len(kept)} ({named})")
    return Finding(what="backups", level="ok", found="; ".join(parts) or "those taken are over")


def _moved(lake: Lake, target: str) -> Iterator[Finding]:
    """Look at the metadata of the target's tables; what is damaged is said elsewhere."""
    moved = count = 0
    for name, entry in table_entries(lake, [lake.branch(target).head]):
        del name
        count += 1
        try:
            moved += entry.table is not None and is_moved(lake.storage, entry.table)
        except Corrupt:
            continue
    if moved:
        yield Finding(
            what="moved",
            level="note",
            found=f"the Iceberg files of {moved} of {count} tables name another place than "
            f"{lake.storage.location}",
            hint="They are found all the same; for other clients:  headgate doctor --relocate",
        )


def _memory(settings: Settings) -> Iterator[Finding]:
    whole = machine_memory()
    if settings.memory_limit is not None:
        found = f"{settings.memory_limit} for the engine of each process"
    else:
        found = f"{budget_bytes(settings) / 1e9:,.1f} GB for all processes together"
    yield Finding(
        what="memory", level="ok", found=f"{found}; the machine has {whole / 1e9:,.1f} GB"
    )
    spilled = spilled_bytes(settings)
    if spilled:
        yield Finding(
            what="spilled",
            level="note",
            found=f"{spilled / 1e6:,.1f} MB in {spill_directory(settings)}",
            hint="Processes at work hold it; the next run removes what killed ones left.",
        )


def _clocks(lake: Lake, clock: Clock) -> Iterator[Finding]:
    """Look for runs that began later than now: their host's clock is ahead of ours."""
    now = clock.now()
    ahead = [
        run
        for run in lake.metastore.runs(states=(RunState.RUNNING, RunState.PUBLISHING))
        if run.began > now + _CLOCK_AHEAD
    ]
    if ahead:
        by = max(run.began for run in ahead) - now
        yield Finding(
            what="clocks",
            level="note",
            found=f"{len(ahead)} {'run' if len(ahead) == 1 else 'runs'} began "
            f"{by.total_seconds() / 60:.0f} minutes from now, by the clock of "
            f"{ahead[0].owner.partition(':')[0]}",
            hint="Have the hosts' clocks agree (chrony, systemd-timesyncd).",
        )

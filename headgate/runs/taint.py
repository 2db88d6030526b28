"""Taint: what an unfinished or failed run wrote never reaches a protected branch, by whatever way.

Taint belongs to entries, therefore it follows forks, tags and copies without anybody's help, and a
step's outputs take on the taint of what it read. It ends when the run that caused it publishes that
very content, or when somebody adopts the run.
"""

from collections.abc import Iterable, Mapping

import msgspec

from headgate.errors import Refused
from headgate.lake import Entry, Lake, RunState


def marked(entry: Entry, run: str, read: Iterable[Entry | None]) -> Entry:
    """Give the entry with the taint and staleness it has by what was read, and by its own run."""
    seen = [one for one in read if one is not None]
    return msgspec.structs.replace(
        entry,
        taint=tuple(sorted({run}.union(*(one.taint for one in seen)))),
        stale=tuple(sorted(set[str]().union(*(one.stale for one in seen)))),
    )


def cleared(entry: Entry, run: str) -> Entry:
    """Give the entry as its own run publishes it."""
    if run not in entry.taint:
        return entry
    return msgspec.structs.replace(entry, taint=tuple(t for t in entry.taint if t != run))


def passed_on(entry: Entry, run: str, to: Iterable[str]) -> Entry:
    """Give the entry as its own run publishes it to a branch that belongs to other runs."""
    found = cleared(entry, run)
    marks = tuple(sorted({*found.taint, *to}))
    return found if marks == found.taint else msgspec.structs.replace(found, taint=marks)


def foreign(
    lake: Lake, changes: Mapping[str, Entry | None], run: str
) -> Mapping[str, tuple[str, ...]]:
    """Give the keys whose content comes from other runs that have not published exactly it.

    Maps each such key to the runs. A run that published this content for this key no longer taints.
    """
    published: dict[str, Mapping[str, str | None]] = {}
    found: dict[str, tuple[str, ...]] = {}
    for key, entry in changes.items():
        if entry is None:
            continue
        bad = tuple(
            other
            for other in entry.taint
            if other != run and _published(lake, other, published).get(key) != entry.content
        )
        if bad:
            found[key] = bad
    return found


def _published(
    lake: Lake, run: str, known: dict[str, Mapping[str, str | None]]
) -> Mapping[str, str | None]:
    """What a run published: each key's content; nothing unless it is published or adopted."""
    if run not in known:
        row = lake.metastore.run(run)
        commit = None
        if row and row.state in {RunState.PUBLISHED, RunState.ADOPTED} and row.commit:
            commit = lake.metastore.commit(row.commit)
        known[run] = {w.key: w.content for w in commit.record.writes} if commit else {}
    return known[run]


def refuse(tainted: Mapping[str, tuple[str, ...]], target: str) -> Refused:
    """Give the error that keeps tainted entries out of a protected branch."""
    runs = sorted({run for them in tainted.values() for run in them})
    names = ", ".join(sorted(key.removeprefix("table/") for key in tainted))
    return Refused(
        "tainted",
        f"{names} hold rows of runs that have not published them: {', '.join(runs)}.",
        readers=f"Readers of {target} see what they saw before.",
        hint=f"Finish the run (headgate resume {runs[0]}) or take it over with all its contracts "
        f"judged again (headgate adopt {runs[0]}).",
        runs=runs,
        keys=sorted(tainted),
    )

"""What the processes of test_processes do: worker.py LOCATION WORK NAME COUNT; a line per deed."""

import os
import sys
from datetime import timedelta
from pathlib import Path

from headgate.clock import SystemClock
from headgate.errors import Conflict
from headgate.lake.entries import Entry
from headgate.lake.lake import Candidate, Lake
from headgate.lake.metastore import EventRow, Outcome, RunRow, RunState
from headgate.lake.records import Record
from headgate.names import RandomIds
from headgate.testing.object_places import open_or_create

LEASE = timedelta(seconds=60)


def composed(lake: Lake, branch: str, key: str) -> Candidate:
    entry = Entry(kind="blob", content=key, data="x" * 700)
    record = Record(kind="run", at=lake.clock.now())
    return lake.compose(lake.resolve(branch), {f"blob/{key}": entry}, record)


def commit(lake: Lake, key: str) -> str:
    while True:
        try:
            return lake.commit_to("dev", composed(lake, "dev", key)).id
        except Conflict:
            continue


def publish(lake: Lake, key: str) -> str:
    id, now = lake.ids.run_id(), lake.clock.now()
    base = lake.resolve("main").id
    run = RunRow(
        id=id,
        pipeline="p",
        target="main",
        branch=f"run/{id}",
        state=RunState.PUBLISHING,
        fence=1,
        base=base,
        began=now,
        owner=key,
        lease_until=now + LEASE,
    )
    lake.metastore.begin_run(run, fork_from=base)
    event = EventRow(run=id, step=None, kind="run-published", at=now, body={"key": key})
    while True:
        candidate = composed(lake, "main", key)
        assert candidate.commit.parent is not None
        outcome = lake.metastore.publish(
            "main",
            head=candidate.commit.parent,
            commit=candidate.commit,
            nodes=candidate.nodes,
            run=id,
            fence=1,
            events=[event],
        )
        if outcome is Outcome.DONE:
            return candidate.commit.id
        assert outcome is Outcome.HEAD_MOVED


def ticket(lake: Lake, key: str) -> str:
    """Take the ticket, look whether somebody else is in, leave."""
    mark = lake.location / "inside"
    while not lake.metastore.turns.take_ticket("main", run=key, fence=1, keys=["k"], lease=LEASE):
        pass
    alone = not mark.exists()
    mark.touch()
    mark.unlink()
    lake.metastore.turns.drop_ticket("main", run=key)
    return "alone" if alone else "together"


def main() -> None:
    location, work, name, count = sys.argv[1:]
    deed = {"commit": commit, "publish": publish, "ticket": ticket}[work]
    with open_or_create(
        Path(location),
        clock=SystemClock(),
        ids=RandomIds(),
        server=os.environ.get("TEST_METASTORE_SERVER"),
    ) as lake:
        for number in range(int(count)):
            print(deed(lake, f"{name}{number}"), flush=True)


if __name__ == "__main__":
    main()

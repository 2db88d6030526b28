"""The decisions leave no anomaly in random histories, and the oracle would see one.

Each rule is taken out and found missing, and decisions are made wrong in further ways: an oracle
that cannot fail says nothing.
"""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from headgate.clock import ManualClock
from headgate.lake import (
    Apply,
    Commit,
    Decision,
    Delete,
    GraphConflict,
    KeepPointer,
    MergeConflict,
    NoOp,
    Operation,
    RestoreEntry,
    Rewrite,
    StepRecord,
    Transaction,
    conflict,
    merge_decision,
    merging,
    reverting,
    serialization,
)
from headgate.runs import incremental, reexecution, skipping
from headgate.testing.abstract_runs import Decisions
from headgate.testing.histories import SHAPES, plan
from headgate.testing.oracle import RULE_SHAPES, SOAKED, judge, main, plans, search, told
from headgate.testing.rules import Rules
from headgate.testing.serial_orders import Anomaly

SEED = 1
ENOUGH = 3000


# -- with all rules in


@pytest.mark.parametrize("part", range(4))
def test_no_history_goes_wrong(part: int) -> None:
    found = search(SOAKED, 500, seed=SEED + part)
    assert found is None, told(found.plan)


def test_every_kind_of_thing_happens_in_them() -> None:
    heard: list[str] = []
    for each in plans(SOAKED, 280, SEED):
        judge(each, tell=heard.append)
    story = "\n".join(heard)
    for happening in (
        "loses",
        "keeps",
        "is skipped",
        "has nothing to do",
        "is taken over",
        "refused: the fence",
        "publication refused",
        "never hears",
        "is reverted as",
        "is refused",
        "takes in what was published",
        "no steps to execute again",
        "fails and is abandoned",
        "delta: ",
        "everything: ",
        "add column",
        "of note",
        "rewrite",
        "create",
        "delete value",
        "listing",
        "absent",
    ):
        assert happening in story, happening


def test_equal_seeds_give_equal_stories() -> None:
    for shape in SHAPES:
        assert told(plan(5, shape)) == told(plan(5, shape))


# -- with one rule out


@pytest.mark.parametrize("rule", Rules.names())
def test_each_rule_is_found_missing(rule: str) -> None:
    assert search((RULE_SHAPES[rule],), ENOUGH, seed=SEED, rules=Rules.without(rule)) is not None


def test_write_skew_is_seen_at_snapshot_isolation_and_only_there() -> None:
    found = search(("skew",), ENOUGH, seed=SEED, all_bind=True)
    assert found is not None
    serial = tuple(run._replace(isolation="serializable") for run in found.plan.runs)
    anomaly, _ = judge(replace(found.plan, runs=serial), all_bind=True)
    assert anomaly is None


def test_production_has_no_switch_for_a_rule() -> None:
    rooms = (serialization, merging, reverting, reexecution, skipping, incremental)
    for room in rooms:
        for name, function in inspect.getmembers(room, inspect.isfunction):
            assert "rules" not in inspect.signature(function).parameters, name


# -- with a decision made wrong


def wrong_merge(change: Callable[[Sequence[Operation], Decision], Decision]) -> Decisions:
    def merge(
        key: str, head: Sequence[Operation], run: Sequence[Operation], **more: object
    ) -> Decision:
        return change(run, merge_decision(key, head, run, **more))  # type: ignore[arg-type]

    return Decisions(merge=merge)


def backwards(_: Sequence[Operation], found: Decision) -> Decision:
    return Apply(operations=found.operations[::-1]) if isinstance(found, Apply) else found


def without_deletes(_: Sequence[Operation], found: Decision) -> Decision:
    if not isinstance(found, Apply):
        return found
    return Apply(operations=tuple(o for o in found.operations if not isinstance(o, Delete)))


def by_pointer(_: Sequence[Operation], found: Decision) -> Decision:
    return KeepPointer() if isinstance(found, Apply) else found


def compacted_by_pointer(run: Sequence[Operation], found: Decision) -> Decision:
    only = all(isinstance(each, Rewrite) for each in run)
    return KeepPointer() if only and not isinstance(found, NoOp) else found


def overtaken_all_the_same(run: Sequence[Operation], found: Decision) -> Decision:
    """Bring a compaction by pointer over what replaced, reverted or compacted the table."""
    only = all(isinstance(each, Rewrite) for each in run)
    return KeepPointer() if only and isinstance(found, NoOp) else found


def compactions_yield_rows(
    key: str, step: str, position: object, commits: Sequence[Commit], **more: object
) -> object:
    """Take the rows of a window in which somebody compacted for rows that came once more."""
    found = incremental.decide(key, step, position, commits, **more)  # type: ignore[arg-type]
    compacted = any(
        isinstance(each, Rewrite)
        for commit in commits
        for write in commit.record.writes
        if write.key == key
        for each in write.operations
    )
    if compacted and isinstance(found, incremental.AppendedRows):
        return replace(found, files=found.files * 2)
    return found


def cursors_merge(_: Sequence[Operation], found: Decision) -> Decision:
    moved = isinstance(found, MergeConflict) and found.reason.endswith("-moved")
    return KeepPointer() if moved else found


def wholly_read(run: Transaction, *given: object, **more: object) -> GraphConflict | None:
    reads = tuple(read for read in run.reads if read.footprint is None)
    return conflict(replace(run, reads=reads), *given, **more)  # type: ignore[arg-type]


def skip_whatever(fingerprint: str, output: skipping.Output | None, **more: object) -> object:
    same = output.fingerprint if output else fingerprint
    return skipping.decide(same, output, **more)  # type: ignore[arg-type]


def one_commit_late(
    key: str, step: str, position: object, commits: Sequence[object], **more: object
) -> object:
    return incremental.decide(key, step, position, commits[1:], **more)  # type: ignore[arg-type]


def without_own_rows(*given: object, own: object) -> object:
    return incremental.decide(*given)  # type: ignore[arg-type]


def kept_whatever_it_read(step: StepRecord, *_: object, **__: object) -> object:
    kept = msgspec.structs.replace(step, reads=())
    known = {write.key: write.before for write in step.writes}
    return reexecution.decide(kept, known.get)


def planned_so(steps: Sequence[StepRecord], *_: object, **__: object) -> object:
    return tuple(kept_whatever_it_read(step) for step in steps)


WRONG = {
    "no graph test": ("graph", Decisions(conflict=lambda *_, **__: None)),
    "narrowed reads forgotten": ("graph", Decisions(conflict=wholly_read)),
    "low never recorded": ("graph", Decisions(low=lambda *_: None)),
    "operations backwards": ("operations", wrong_merge(backwards)),
    "deletes forgotten": ("operations", wrong_merge(without_deletes)),
    "merged by pointer": ("operations", wrong_merge(by_pointer)),
    "compactions by pointer": ("compactions", wrong_merge(compacted_by_pointer)),
    "compactions yield rows": ("compactions", Decisions(new_rows=compactions_yield_rows)),
    "overtaken compactions by pointer": ("compactions", wrong_merge(overtaken_all_the_same)),
    "cursors merged": ("levels", wrong_merge(cursors_merge)),
    "kept whatever changed": (
        "mixed",
        Decisions(step=kept_whatever_it_read, plan=planned_so),  # type: ignore[arg-type]
    ),
    "skipped whatever changed": ("skips", Decisions(skip=skip_whatever)),
    "rows since one commit late": ("incremental", Decisions(new_rows=one_commit_late)),
    "own new rows not taken": ("incremental", Decisions(new_rows=without_own_rows)),
    "reverted by pointer": ("reverts", Decisions(revert=lambda *_, **__: RestoreEntry())),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_decision_is_found(name: str) -> None:
    shape, decisions = WRONG[name]
    assert search((shape,), ENOUGH, seed=SEED, decisions=decisions) is not None


@pytest.mark.parametrize(
    "edges", ["_later_writers", "_later_readers", "_overwriters", "_nodes_before_run"]
)
def test_each_kind_of_edge_is_needed(edges: str, monkeypatch: pytest.MonkeyPatch) -> None:
    empty: object = dict if edges == "_nodes_before_run" else tuple

    def none(*_: object, **__: object) -> object:
        return empty()  # type: ignore[operator]

    monkeypatch.setattr(serialization._Search, edges, none)
    assert search(("graph", "appends"), ENOUGH, seed=SEED) is not None


# -- what it says


def test_a_counterexample_is_small_and_readable() -> None:
    rules = Rules.without("operations_applied_again")
    found = search(("operations",), ENOUGH, seed=SEED, rules=rules)
    assert found is not None
    story = told(found.plan, rules=rules)
    assert len(story.splitlines()) < 60
    assert story.splitlines()[-1].startswith("not-serializable: ")
    begun = {each.run for each in found.plan.happenings}
    assert len(begun) == 2


def test_the_soak_ends_with_its_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "headgate.testing.oracle.Rules.names", lambda: ("own_reads", "ordered_operations")
    )
    assert main(["--histories", "40", "--seed", "3"], clock=ManualClock()) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert summary["histories"] == 40
    assert summary["anomalies"] == 0
    assert summary["rules_not_found"] == []
    assert summary["write_skew_at_snapshot_isolation"]
    assert "40 of 40 histories" in err


def test_the_soak_fails_on_an_anomaly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Anomaly(kind="not-serializable", what="made up")
    world = judge(plan(1))[1]
    monkeypatch.setattr("headgate.testing.oracle.judge", lambda *_, **__: (wrong, world))
    monkeypatch.setattr("headgate.testing.oracle.made_small", lambda p, a, _: (p, a))
    monkeypatch.setattr("headgate.testing.oracle.Rules.names", tuple)
    assert main(["--histories", "3"], clock=ManualClock()) == 1
    assert "made up" in capsys.readouterr().out


def test_one_rule_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--without", "ordered_operations", "--histories", "500"]) == 0
    assert "Found without ordered_operations after" in capsys.readouterr().out


@pytest.mark.soak
def test_twenty_thousand_histories_go_well() -> None:
    assert search(SOAKED, 20_000, seed=SEED + 100) is None

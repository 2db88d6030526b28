"""A step is skipped where its output for exactly these inputs is published and stands."""

from datetime import UTC, datetime

import pytest
from short_records import append, commit, delete, read, replace, step, upsert, write

from headgate.lake import Commit, Create, Operation, Put, Read, StepRecord
from headgate.runs import skipping
from headgate.runs.skipping import Identity, Output, RunStep, SkipDecision, SkipStep

ENTRY = "pipeline/p/s"
NOW = {"table/a": "new", "table/i": "input"}
OUTPUT = Output(fingerprint="f", run="r1", origin="r1")


def made(*operations: Operation, content: str = "new") -> StepRecord:
    return step(
        "s",
        reads=[Read(key=ENTRY, content=None), read("i", content="input", at="c0")],
        writes=[
            write("a", *operations, content=content),
            write(ENTRY, Put(content="o"), before=None, content="o"),
        ],
        fingerprint="f",
    )


def decided(
    record: StepRecord | None,
    *,
    fingerprint: str = "f",
    output: Output | None = OUTPUT,
    reverted: frozenset[str] = frozenset(),
    now: dict[str, str] | None = None,
) -> SkipDecision:
    found: tuple[Commit, StepRecord] | None = (commit(1, record), record) if record else None
    return skipping.decide(
        fingerprint,
        output,
        entry=ENTRY,
        reverted=reverted,
        published=lambda run: found if run == "r1" else None,
        now=(NOW if now is None else now).get,
    )


def test_an_equal_fingerprint_skips_and_keeps_reads_and_writes() -> None:
    found = decided(made(replace()))
    assert isinstance(found, SkipStep)
    assert found.record.skipped is not None
    assert found.record.skipped.commit == "c1"
    assert found.record.reads == (read("i", content="input"),)
    assert [each.key for each in found.record.writes] == ["table/a"]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (decided(made(replace()), output=None), "never-published"),
        (decided(made(replace()), fingerprint="g"), "changed"),
        (decided(None), "record-gone"),
        (decided(made(replace()), reverted=frozenset({"r1"})), "reverted"),
        (decided(made(replace()), now={}), "output-gone"),
        (decided(made(delete(), append())), "mixed-operations"),
    ],
)
def test_anything_else_runs(decision: SkipDecision, reason: str) -> None:
    assert decision == RunStep(reason=reason)


def test_a_reverted_origin_is_no_output_whoever_passed_it_on() -> None:
    passed = OUTPUT.passed_on("r2")
    found = skipping.decide(
        "f",
        passed,
        entry=ENTRY,
        reverted=frozenset({"r1"}),
        published=lambda _: (commit(2, made(append())), made(append())),
        now=NOW.get,
    )
    assert (passed.run, passed.origin, found) == ("r2", "r1", RunStep(reason="reverted"))


def test_a_skipped_replacement_still_writes_its_pointer() -> None:
    found = decided(made(replace(), append()), now={**NOW, "table/a": "others"})
    assert isinstance(found, SkipStep)
    (kept,) = found.writes
    assert (kept.pointer, kept.settled, kept.operations) == (True, False, (replace(), append()))


@pytest.mark.parametrize("operation", [upsert(), delete()])
def test_a_skipped_upsert_or_delete_is_applied_again(operation: Operation) -> None:
    found = decided(made(operation), now={**NOW, "table/a": "others"})
    assert isinstance(found, SkipStep)
    (kept,) = found.writes
    assert (kept.pointer, kept.settled, kept.operations) == (False, False, (operation,))


def test_a_skipped_append_is_left_out() -> None:
    found = decided(made(Create(uuid="u"), append()), now={**NOW, "table/a": "others"})
    assert isinstance(found, SkipStep)
    assert (found.writes, found.settled) == ((), True)


@pytest.mark.parametrize("operation", [replace(), upsert(), delete(), upsert(columns=("v",))])
def test_an_output_that_still_stands_is_settled(operation: Operation) -> None:
    found = decided(made(operation))
    assert isinstance(found, SkipStep)
    assert found.settled


def test_what_twice_is_not_once_is_not_settled() -> None:
    found = decided(made(upsert(columns=("v",)), delete()))
    assert isinstance(found, SkipStep)
    assert not found.settled


def test_reverting_a_revert_brings_the_run_back() -> None:
    one = commit(2, run="v1", reverts=("r1",))
    two = commit(3, run="v2", reverts=("v1",))
    assert skipping.reverted_runs([commit(1), one]) == {"r1"}
    assert skipping.reverted_runs([commit(1), one, two]) == {"v1"}
    three = commit(4, run="v3", reverts=("v2",))
    assert skipping.reverted_runs([commit(1), one, two, three]) == {"v2", "r1"}


def test_everything_a_step_depends_on_is_in_its_fingerprint() -> None:
    plain = Identity(code="c", inputs={"table/a": "1", "table/b": None})
    others = [
        Identity(code="d", inputs=plain.inputs),
        Identity(code="c", parameters="p", inputs=plain.inputs),
        Identity(code="c", environment="e", inputs=plain.inputs),
        Identity(code="c", contract="k", inputs=plain.inputs),
        Identity(code="c", now=datetime(2026, 1, 1, tzinfo=UTC), inputs=plain.inputs),
        Identity(code="c", seed=0, inputs=plain.inputs),
        Identity(code="c", inputs={"table/a": "2", "table/b": None}),
        Identity(code="c", inputs={"table/a": "1"}),
    ]
    assert len({each.fingerprint for each in (plain, *others)}) == 1 + len(others)
    turned = Identity(code="c", inputs={"table/b": None, "table/a": "1"})
    assert turned.fingerprint == plain.fingerprint


def test_the_entry_reads_back() -> None:
    assert Output.parse(OUTPUT.text()) == OUTPUT

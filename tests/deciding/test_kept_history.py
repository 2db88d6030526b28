"""A kept history answers as one made for the question, whatever it was asked before."""

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from short_records import append, commit, read, replace, step, write
from test_serialization import run, transactions

from headgate.lake import Commit, StepRecord, conflict, low
from headgate.lake import kept_history as module
from headgate.lake.kept_history import KeptHistory


class Branch:
    """A branch's commits, and how often a window of them was asked for."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.commits = list(commits)
        self.asked: list[int] = []

    def window(self, head: Commit, since: int) -> Sequence[Commit]:
        found = [c for c in self.commits if since < c.number <= head.number]
        self.asked.append(len(found))
        return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(transactions(), st.integers(0, 4)), min_size=1, max_size=12),
    st.lists(st.tuples(transactions(), st.integers(0, 12), st.integers(0, 12)), max_size=6),
    st.sampled_from([1, 3, 5_000]),
)
def test_it_answers_as_one_made_anew(
    published: list[tuple[StepRecord, int]],
    asked: list[tuple[StepRecord, int, int]],
    most: int,
) -> None:
    commits = [commit(0)]
    for done, lag in published:
        number = len(commits)
        base = max(0, number - 1 - lag)
        below = low(run(done, base=base), commits[base + 1 :])
        commits.append(commit(number, done, base=base, low=below))
    branch = Branch(commits)
    kept = KeptHistory(branch.window)
    before = module.MOST_COMMITS
    module.MOST_COMMITS = most
    try:
        for mine, at, lag in asked:
            head = commits[min(at, len(commits) - 1)]
            base = max(0, head.number - lag)
            question = run(mine, base=base)
            window = commits[base + 1 : head.number + 1]
            anew = conflict(
                question, window, extend=lambda n, head=head: commits[n : head.number + 1]
            )
            assert (kept.conflict(question, head) is None) == (anew is None)
            assert kept.low(question, head) == low(question, window)
    finally:
        module.MOST_COMMITS = before


def test_each_publication_is_read_once() -> None:
    branch = Branch([commit(0)])
    kept = KeptHistory(branch.window)
    mine = step(reads=[], writes=[write("a", append())])
    reader = step(reads=[read("b")], writes=[write("c", replace())])
    for number in range(1, 40):
        branch.commits.append(commit(number, step(writes=[write("b", append())]), base=number - 1))
        kept.conflict(run(reader, base=0), branch.commits[-1])
        kept.low(run(mine, base=0), branch.commits[-1])
    assert sum(branch.asked) < 2 * 40


def test_a_branch_made_anew_is_another_past() -> None:
    skew = step(reads=[read("b")], writes=[write("a", replace())])
    first = [commit(0), commit(1, step(writes=[write("x", append())]))]
    branch = Branch(first)
    kept = KeptHistory(branch.window)
    question = run(step(reads=[read("a")], writes=[write("b", replace())]), base=0)
    assert kept.conflict(question, first[-1]) is None
    other = msgspec.structs.replace(commit(1, skew, base=0), id="other")
    branch.commits = [first[0], other]
    assert kept.conflict(question, other) is not None

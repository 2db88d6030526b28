"""The lake beside a model of dicts and lists: whatever is done to both, both answer alike."""

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headgate.clock import ManualClock
from headgate.errors import AlreadyExists, Conflict, NotFound, Refused
from headgate.lake.diffing import Change
from headgate.lake.entries import Entry
from headgate.lake.lake import Candidate, Lake
from headgate.lake.metastore import Outcome, RunRow, RunState
from headgate.lake.records import Commit, Record
from headgate.lake.trees import rank
from headgate.names import CountingIds

NAMES = st.sampled_from(["dev", "side", "fix", "team/a"])
TAGS = st.sampled_from(["v1", "v2", "dev"])
KEYS = [f"table/t{n}" for n in range(3_000) if rank(f"table/t{n}") or n < 20]
CHANGES = st.dictionaries(
    st.sampled_from(KEYS),
    st.none() | st.builds(lambda n: Entry(kind="blob", content=str(n)), st.integers(0, 3)),
    max_size=8,
)


@dataclass
class Line:
    """A branch as a model: its commits from the first, and when it came to each head."""

    commits: list[str]
    moves: list[tuple[datetime, str]] = field(default_factory=list)
    protected: bool = False


class LakeMachine(RuleBasedStateMachine):
    candidates = Bundle("candidates")
    runs = Bundle("runs")

    @initialize()
    def create(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.ids = CountingIds()
        self.lake = Lake.create(Path(self.directory.name), clock=self.clock, ids=self.ids)
        genesis = self.lake.resolve("main").id
        self.contents: dict[str, dict[str, Entry]] = {genesis: {}}
        self.lines = {"main": Line([genesis], [(self.clock.now(), genesis)], protected=True)}
        self.tags: dict[str, str] = {}
        self.states: dict[str, RunState] = {}

    def teardown(self) -> None:
        if hasattr(self, "lake"):
            self.lake.close()
            self.directory.cleanup()

    # -- the rules

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.clock.move(timedelta(hours=hours))

    @rule()
    def open_again(self) -> None:
        self.lake.close()
        self.lake = Lake.open(Path(self.directory.name), clock=self.clock, ids=self.ids)

    @rule(name=NAMES, data=st.data())
    def create_branch(self, name: str, data: st.DataObject) -> None:
        start = data.draw(st.sampled_from(sorted(self.lines)))
        if name in self.lines or name in self.tags:
            self.refused(AlreadyExists, lambda: self.lake.create_branch(name, start))
            return
        self.lake.create_branch(name, start)
        commits = list(self.lines[start].commits)
        self.lines[name] = Line(commits, [(self.clock.now(), commits[-1])])

    @rule(name=NAMES)
    def delete_branch(self, name: str) -> None:
        if name not in self.lines:
            self.refused(NotFound, lambda: self.lake.delete_branch(name))
        elif self.lines[name].protected:
            self.refused(Refused, lambda: self.lake.delete_branch(name))
        else:
            self.lake.delete_branch(name)
            del self.lines[name]

    @rule(name=NAMES, protected=st.booleans())
    def protect(self, name: str, protected: bool) -> None:
        if name in self.lines:
            self.lake.protect(name, protected=protected)
            self.lines[name].protected = protected

    @rule(name=TAGS, data=st.data())
    def tag(self, name: str, data: st.DataObject) -> None:
        commit = data.draw(st.sampled_from(sorted(self.contents)))
        if name in self.tags or name in self.lines:
            self.refused(AlreadyExists, lambda: self.lake.create_tag(name, commit))
        else:
            self.lake.create_tag(name, commit)
            self.tags[name] = commit

    @rule(name=TAGS)
    def delete_tag(self, name: str) -> None:
        if name in self.tags:
            self.lake.delete_tag(name)
            del self.tags[name]
        else:
            self.refused(NotFound, lambda: self.lake.delete_tag(name))

    @rule(target=candidates, changes=CHANGES, data=st.data())
    def compose(self, changes: dict[str, Entry | None], data: st.DataObject) -> object:
        branch = data.draw(st.sampled_from(sorted(self.lines)))
        parent = self.lake.resolve(branch)
        candidate = self.lake.compose(parent, changes, self.record())
        merged = {**self.contents[parent.id], **changes}
        content = {key: entry for key, entry in merged.items() if entry is not None}
        assert dict(candidate.tree.items()) == content
        return multiple((branch, candidate, content))

    @rule(chosen=consumes(candidates))
    def commit(self, chosen: tuple[str, Candidate, dict[str, Entry]]) -> None:
        branch, candidate, content = chosen
        line = self.lines.get(branch)
        if line is None:
            self.refused(NotFound, lambda: self.lake.commit_to(branch, candidate))
        elif line.protected:
            self.refused(Refused, lambda: self.lake.commit_to(branch, candidate))
        elif line.commits[-1] != candidate.commit.parent:
            self.refused(Conflict, lambda: self.lake.commit_to(branch, candidate))
        else:
            assert self.lake.commit_to(branch, candidate) == candidate.commit
            self.moved(branch, candidate.commit, content)

    @rule(target=runs)
    def begin_run(self) -> str:
        id = self.ids.run_id()
        head = self.lines["main"].commits[-1]
        run = RunRow(
            id=id,
            pipeline="p",
            target="main",
            branch=f"run/{id}",
            state=RunState.PUBLISHING,
            fence=1,
            base=head,
            began=self.clock.now(),
            owner="me",
            lease_until=self.clock.now(),
        )
        self.lake.metastore.begin_run(run, fork_from=head)
        self.lines[run.branch] = Line(list(self.lines["main"].commits), [(run.began, head)])
        self.states[id] = RunState.PUBLISHING
        return id

    @rule(run=runs, changes=CHANGES, late=st.booleans())
    def publish(self, run: str, changes: dict[str, Entry | None], late: bool) -> None:
        line = self.lines["main"]
        late = late and len(line.commits) > 1
        head = self.lake.resolve("main~1" if late else "main")
        candidate = self.lake.compose(head, changes, self.record())
        outcome = self.lake.metastore.publish(
            "main",
            head=head.id,
            commit=candidate.commit,
            nodes=candidate.nodes,
            run=run,
            fence=1,
        )
        if self.states[run] is RunState.PUBLISHED:
            assert outcome is Outcome.NOT_MINE
        elif late:
            assert outcome is Outcome.HEAD_MOVED
        else:
            assert outcome is Outcome.DONE
            self.states[run] = RunState.PUBLISHED
            self.moved("main", candidate.commit, dict(candidate.tree.items()))

    # -- the questions

    @precondition(lambda self: hasattr(self, "lake"))
    @rule(data=st.data())
    def ask_history(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.lines)))
        commits = self.lines[name].commits
        head = self.lake.resolve(name)
        assert [commit.id for commit in self.lake.log(head)] == commits[::-1]
        since = data.draw(st.integers(-1, len(commits)))
        assert [c.id for c in self.lake.window(head, since)] == commits[since + 1 :]
        back = data.draw(st.integers(0, len(commits) - 1))
        assert self.lake.resolve(f"{name}~{back}").id == commits[-1 - back]
        key = data.draw(st.sampled_from(KEYS)).removeprefix("table/")
        told = [commit.id for commit in self.lake.log(head, table=key)]
        assert told == self.changing(commits, f"table/{key}")

    @rule(data=st.data(), hours=st.integers(-40, 10))
    def ask_the_past(self, data: st.DataObject, hours: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.lines)))
        instant = self.clock.now() + timedelta(hours=hours)
        seen = [head for at, head in self.lines[name].moves if at <= instant]
        ref = f"{name}@{{{instant.isoformat()}}}"
        if seen:
            assert self.lake.resolve(ref).id == seen[-1]
        else:
            self.refused(NotFound, lambda: self.lake.resolve(ref))

    @rule(data=st.data())
    def ask_difference(self, data: st.DataObject) -> None:
        ids = st.sampled_from(sorted(self.contents))
        some, other = data.draw(ids), data.draw(ids)
        before, after = self.contents[some], self.contents[other]
        trees = [self.lake.tree(self.lake.commit(id)) for id in (some, other)]
        expected = [
            Change(key=key, before=before.get(key), after=after.get(key))
            for key in sorted({**before, **after})
            if before.get(key) != after.get(key)
        ]
        assert list(trees[0].diff(trees[1])) == expected
        assert (trees[0].root == trees[1].root) == (before == after)

    @rule(data=st.data())
    def ask_fork(self, data: st.DataObject) -> None:
        names = st.sampled_from(sorted(self.lines))
        left, right = data.draw(names), data.draw(names)
        shared = [
            a
            for a, b in zip(self.lines[left].commits, self.lines[right].commits, strict=False)
            if a == b
        ]
        heads = self.lake.resolve(left), self.lake.resolve(right)
        assert self.lake.merge_base(*heads).id == shared[-1]

    @precondition(lambda self: hasattr(self, "lake"))
    @invariant()
    def heads_tags_and_contents_agree(self) -> None:
        heads = {branch.name: (branch.head, branch.number) for branch in self.lake.branches()}
        assert heads == {
            name: (line.commits[-1], len(line.commits) - 1) for name, line in self.lines.items()
        }
        assert {tag.name: tag.commit for tag in self.lake.tags()} == self.tags
        for name, line in self.lines.items():
            tree = self.lake.tree(self.lake.resolve(name))
            assert dict(tree.items()) == self.contents[line.commits[-1]]

    # -- parts

    def record(self) -> Record:
        return Record(kind="transaction", at=self.clock.now(), message=self.ids.unique())

    def moved(self, branch: str, commit: Commit, content: dict[str, Entry]) -> None:
        self.contents[commit.id] = content
        self.lines[branch].commits.append(commit.id)
        self.lines[branch].moves.append((self.clock.now(), commit.id))

    def changing(self, commits: list[str], key: str) -> list[str]:
        found, before = [], None
        for id in commits:
            entry = self.contents[id].get(key)
            if entry != before:
                found.append(id)
            before = entry
        return found[::-1]

    def refused(self, kind: type[Exception], action: object) -> None:
        try:
            action()  # type: ignore[operator]
        except kind:
            return
        message = f"{kind.__name__} was not raised"
        raise AssertionError(message)


def examined(count: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def test_the_lake_answers_like_the_model() -> None:
    run_state_machine_as_test(LakeMachine, settings=examined(25))


@pytest.mark.soak
def test_the_lake_answers_like_the_model_for_long() -> None:
    run_state_machine_as_test(LakeMachine, settings=examined(2_000))

"""A ref that names nothing, in every command that takes one."""

import pytest

from headgate.errors import NotFound
from headgate.project import open_project


@pytest.mark.parametrize(
    ("words", "code", "exits", "said"),
    [
        (("sql", "--ref", "mian", "select * from numbers"), "unknown-ref", 6, "Did you mean main?"),
        (("log", "--ref", "nope"), "unknown-ref", 6, "There are: main."),
        (("show", "deadbeef"), "unknown-ref", 6, "'deadbeef'"),
        (("show", "main~99"), "before-history", 6, "The oldest is main~1."),
        (("diff", "main", "dev"), "unknown-ref", 6, "'dev'"),
        (("merge", "dev"), "unknown-ref", 6, "'dev'"),
        (("revert", "dev"), "unknown-ref", 6, "'dev'"),
        (("branch", "new", "dev"), "unknown-ref", 6, "'dev'"),
        (("run", "--target", "dev"), "unknown-branch", 6, "headgate branch lists them."),
        (("resume", "dev"), "unknown-run", 6, "headgate status"),
        (("sql", "--ref", "a b", "select 1"), "bad-ref", 2, "A ref is a branch, a tag"),
        (("sql", "--ref", "main@{soon}", "select 1"), "bad-instant", 2, "main@{2026-11-01}"),
        (("sql", "select * from numbrs"), "unknown-table", 6, "Did you mean numbers?"),
        (("table", "numbrs"), "unknown-table", 6, "Did you mean numbers?"),
    ],
)
def test_what_is_unknown_is_named_with_what_there_is(published, words, code, exits, said):
    head = published.head()
    error = published.error(*words, exits=exits)
    assert error["code"] == code
    assert said in f"{error['message']} {error['hint']}"
    assert published.head() == head


@pytest.mark.parametrize(
    "words",
    [
        ("sql", "--ref", "", "select 1"),
        ("log", "--ref", " "),
        ("run", "--target", ""),
        ("run", "--branch", ""),
        ("merge", "dev", "--into", ""),
    ],
)
def test_an_empty_name_never_means_the_default(published, words):
    head = published.head()
    assert "is a variable not set?" in published(*words, exits=2).err
    assert published.head() == head


def test_python_raises_the_same(published):
    with open_project(published.root, environment={}) as project:
        with pytest.raises(NotFound) as caught:
            project.at("mian")
        assert caught.value.code == "unknown-ref"
        with pytest.raises(LookupError, match="numbrs"):
            project.table("numbrs")
        with pytest.raises(NotFound):
            project.table("numbers", ref="dev")
        with pytest.raises(ValueError, match="''"):
            project.table("numbers", ref="")

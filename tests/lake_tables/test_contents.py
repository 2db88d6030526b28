"""Content ids identify rows and schema: neither files nor ids, nor what a replacement replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Internal
from headgate.filesets import DataFile
from headgate.lake import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Create,
    Delete,
    Drop,
    Put,
    Rename,
    Replace,
    Restore,
    Rewrite,
    Upsert,
    content_after,
    content_chain,
)

COLUMNS = (Column(name="a", type="long", id=1), Column(name="l", type="list<3: int>", id=2))
CHECKSUMS = st.lists(st.sampled_from(["sha256:a", "sha256:b", "sha256:c"]), min_size=1)


def file(checksum, path="data/x", rows=1):
    return DataFile(path=path, rows=rows, size_bytes=1, checksum=checksum)


@given(CHECKSUMS, st.randoms())
def test_the_order_and_the_names_of_files_do_not_matter(checksums, random):
    shuffled = random.sample(checksums, len(checksums))
    one = tuple(file(c, path=f"one/{i}") for i, c in enumerate(checksums))
    other = tuple(file(c, path=f"other/{i}") for i, c in enumerate(shuffled))
    assert content_after("x", Append(files=one)) == content_after("x", Append(files=other))
    replaced = [content_after("x", Replace(files=f, schema=COLUMNS)) for f in (one, other)]
    assert replaced[0] == replaced[1]


def test_equal_output_has_an_equal_id_whatever_was_there_before():
    operation = Replace(files=(file("sha256:a"),), schema=COLUMNS)
    assert content_after("x", operation) == content_after(None, operation)


def test_column_ids_do_not_matter():
    other = (Column(name="a", type="long", id=7), Column(name="l", type="list<9: int>", id=8))
    one, two = (Replace(files=(file("sha256:a"),), schema=c) for c in (COLUMNS, other))
    assert content_after("x", one) == content_after("x", two)


NOTHING = [
    Rewrite(removed=("a",), added=(file("sha256:z"),)),
    Append(files=()),
    Append(files=(file("sha256:a", rows=0),)),
    Upsert(key_columns=("a",), files=()),
    Delete(key_columns=("a",), files=()),
]
SOMETHING = [
    Append(files=(file("sha256:a"),)),
    Append(files=(file("sha256:b"),)),
    Append(files=(file("sha256:a"), file("sha256:a"))),
    Upsert(key_columns=("a",), files=(file("sha256:a"),)),
    Upsert(key_columns=("a", "l"), files=(file("sha256:a"),)),
    Upsert(key_columns=("a",), columns=("l",), files=(file("sha256:a"),)),
    Delete(predicate="a > 1"),
    Delete(predicate="a > 2"),
    Delete(key_columns=("a",), files=(file("sha256:a"),)),
    Replace(files=(), schema=COLUMNS),
    Replace(files=(), schema=COLUMNS[:1]),
    Replace(files=(), schema=(COLUMNS[1], COLUMNS[0])),
    AddColumn(column=Column(name="b", type="int", id=3)),
    AddColumn(column=Column(name="b", type="long", id=3)),
    ChangeSchema(columns=COLUMNS, what=""),
    Create(uuid="u"),
    Create(uuid="u", partition=("a",)),
]


@pytest.mark.parametrize("operation", NOTHING)
def test_what_changes_no_row_keeps_the_id(operation):
    assert content_after("x", operation) == "x"


def test_what_changes_something_gives_an_id_of_its_own():
    contents = [content_after("x", operation) for operation in SOMETHING]
    assert len({"x", *contents}) == len(SOMETHING) + 1
    assert contents == [content_after("x", operation) for operation in SOMETHING]


@given(st.lists(st.sampled_from(NOTHING + SOMETHING), max_size=6))
def test_a_chain_is_its_operations_one_by_one(operations):
    content = "x"
    for operation in operations:
        content = content_after(content, operation)
    assert content_chain("x", operations) == content


def test_what_goes_away_has_no_content():
    assert content_after("x", Drop()) is None
    assert content_after("x", Rename(to="y")) is None
    assert content_after("x", Put(content=None)) is None
    assert content_after("x", Put(content="z")) == "z"


def test_a_restored_key_has_the_content_it_had():
    with pytest.raises(Internal) as error:
        content_after("x", Restore(commit="c"))
    assert error.value.code == "restored-content-unknown"

"""Lakes that cannot be used: too new, damaged, locked, on the wrong file system, read-only."""

import ctypes
import os
import sqlite3
import struct
import subprocess
import threading
from datetime import timedelta

import pytest

from headgate.errors import Unavailable
from headgate.lake import Lake
from headgate.lake.sqlite import open_sqlite
from headgate.project import open_project

COMMANDS = (("run",), ("status",), ("sql", "select * from numbers"), ("table", "numbers"))


def metastore(place):
    return place.root / "lake" / "metastore.sqlite"


def test_a_lake_of_a_newer_version_is_left_alone(published):
    with sqlite3.connect(metastore(published)) as database:
        database.execute("update lake set value = '99' where key = 'format'")
    database.close()
    before = metastore(published).read_bytes()
    for command in COMMANDS:
        said = published(*command, exits=7)
        assert "has format 99; this headgate knows formats up to" in said.err
        assert "pip install --upgrade headgate" in said.err
    published("doctor", exits=9)
    assert metastore(published).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database" * 100, None])
def test_a_metastore_that_is_none_is_named(published, content):
    whole = metastore(published).read_bytes()
    metastore(published).write_bytes(whole[: len(whole) // 2] if content is None else content)
    for command in COMMANDS:
        said = published(*command, exits=9)
        assert f"{metastore(published)} is no whole metastore" in said.err
        assert "Restore the metastore's backup." in said.err
    published("doctor", exits=9)
    metastore(published).write_bytes(whole)
    assert "Nothing to do" in published("run").err


def test_a_lost_metastore_is_not_made_anew_over_its_tables(published):
    away = metastore(published).rename(published.root / "away")
    for command in COMMANDS:
        error = published.error(*command, exits=9)
        assert error["code"] == "metastore-missing"
        assert "Restore the metastore's backup" in error["hint"]
    away.rename(metastore(published))
    assert published.rows("select count(*) as n from numbers") == [{"n": 5}]


def test_who_waits_too_long_for_a_lock_is_told_whose(published):
    stranger = sqlite3.connect(metastore(published), isolation_level=None)
    stranger.execute("begin immediate")
    with open_project(published.root, environment={}) as project:
        clock = project.clock
    impatient = open_sqlite(metastore(published), clock=clock, patience=timedelta(milliseconds=50))
    with pytest.raises(Unavailable) as caught:
        impatient.create_branch(impatient.branch("main"))
    impatient.close()
    assert caught.value.code == "metastore-locked"
    assert f"{metastore(published)} was locked by process {os.getpid()}" in caught.value.message
    assert published.rows("select count(*) as n from numbers") == [{"n": 5}]  # readers never wait
    waiting = published.process("run", "--force")
    stranger.execute("rollback")  # and a run goes on as soon as it may
    stranger.close()
    _, words = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, words


def test_a_lake_may_not_be_on_a_file_system_without_locks(place):
    with fuse(place.root / "remote"):
        place.write("headgate.toml", '[lake]\nlocation = "remote"\n')
        error = place.error("run", exits=7)
        assert error["code"] == "network-file-system"
        assert str(place.root / "remote") in error["message"]
        assert "fuse" in error["message"]
        assert error["hint"] == "Put the lake on a local disk."


@pytest.mark.parametrize("closed", ["lake", "lake/metastore.sqlite"])
def test_a_lake_that_may_not_be_written_is_named(published, denied, closed):
    path = published.root / closed
    rights = path.stat().st_mode
    path.chmod(0o555 if path.is_dir() else 0o444)
    published.steps('more = hg.sql_step("select 1 as n")\n')
    try:
        said = published.apart("run", exits=7, **denied)
    finally:
        path.chmod(rights)
        for beside in metastore(published).parent.glob("metastore.sqlite-*"):
            beside.chmod(0o644)
    assert f"{metastore(published)} may not be written" in said.err
    assert "Give yourself the right" in said.err
    assert "Published 1 table" in published("run").err


@pytest.mark.parametrize("closed", ["data", "metadata"])
def test_a_directory_that_refuses_files_fails_the_step(published, denied, closed):
    head = published.head()
    directory = published.root / "lake" / closed
    directory.chmod(0o555)
    published.steps('more = hg.sql_step("select 1 as n")\n')
    try:
        said = published.apart("run", exits=8, **denied)
    finally:
        directory.chmod(0o755)
    assert f"✗ more: The operating system refused {directory}/" in said.err
    assert "Traceback" not in said.err
    published.is_unchanged(head, said)
    assert "Published 1 table" in published("resume", said.resume).err


def test_where_no_lake_can_be_made_is_named(place, denied):
    place.root.chmod(0o555)
    try:
        said = place.apart("run", exits=8, **denied)
    finally:
        place.root.chmod(0o755)
    assert f"No lake can be made in {place.root / 'lake'}: Permission denied." in said.err


def test_two_lakes_are_not_made_in_one_place(published):
    with open_project(published.root, environment={}) as project:
        clock, ids = project.clock, project.ids
    with pytest.raises(Exception, match="There is a lake in"):
        Lake.create(published.root / "lake", clock=clock, ids=ids)


class fuse:  # noqa: N801 - used as a function
    """A FUSE file system of one empty directory, served by a thread: enough to be recognised.

    The messages are those of ``linux/fuse.h``.
    """

    def __init__(self, place) -> None:
        self._place = place

    def __enter__(self):
        self._place.mkdir()
        try:
            self._device = os.open("/dev/fuse", os.O_RDWR)
        except OSError:
            pytest.skip("there is no FUSE here")
        options = f"fd={self._device},rootmode=40755,user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        arguments = (b"test", str(self._place).encode(), b"fuse", 0, options.encode())
        if libc.mount(*arguments) != 0:
            os.close(self._device)
            pytest.skip("mounting takes root's rights")
        threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", str(self._place)], check=True)

    def _serve(self) -> None:
        init, getattr_, opendir, forget = 26, 3, 27, 2
        attributes = struct.pack(
            "<QIIQQQQQQIIIIIIIIII", *(1, 0, 0, 1, *[0] * 5), *[0] * 3, 0o40755, 2, *[0] * 5
        )
        answers = {
            init: struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 0, 0, 65536, 1, 0, 0, 0, *[0] * 7),
            getattr_: attributes,
            opendir: struct.pack("<QII", 0, 0, 0),
        }
        while True:
            try:
                request = os.read(self._device, 1 << 17)
            except OSError:  # it is unmounted
                os.close(self._device)
                return
            code, unique = struct.unpack_from("<xxxxIQ", request)
            if code == forget:
                continue
            body = answers.get(code)
            error, body = (0, body) if body is not None else (-2, b"")  # ENOENT
            os.write(self._device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)

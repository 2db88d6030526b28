"""What every storage must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(StorageSuite):  # doctest: +SKIP
...     @pytest.fixture
...     def storage(self):
...         return MyStorage(...)
"""

# ruff: noqa: D102, PLR2004, S101 - these are tests; their names say what they show

import hashlib
import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

from headgate.errors import Corrupt, Invalid
from headgate.lake.storage import Storage

UUID = "0b6a3c5e-0000-4000-8000-000000000001"
OTHER = "0b6a3c5e-0000-4000-8000-000000000002"


class StorageSuite:
    """Subclasses give a fixture ``storage``: a new one, empty but perhaps for other directories."""

    def test_a_created_file_is_there_whole(self, storage: Storage) -> None:
        path = _metadata(storage, "a.json")
        storage.create(path, b"content")
        assert storage.read(path) == b"content"
        assert storage.find(path) == b"content"
        assert storage.size(path) == storage.size(path, fresh=True) == 7
        expected = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
        assert storage.checksum(path) == storage.checksum(path, fresh=True) == expected

    def test_an_empty_file_is_a_file(self, storage: Storage) -> None:
        path = _metadata(storage, "empty")
        storage.create(path, b"")
        assert storage.read(path) == b""
        assert storage.size(path, fresh=True) == 0
        assert [file.path for file in storage.list("metadata")] == [path]

    def test_a_name_is_given_once(self, storage: Storage) -> None:
        path = _metadata(storage, "a.json")
        storage.create(path, b"first")
        with pytest.raises(FileExistsError):
            storage.create(path, b"second")
        assert storage.read(path) == b"first"

    def test_of_many_that_want_one_name_one_gets_it(self, storage: Storage) -> None:
        path = _metadata(storage, "wanted")
        won: list[int] = []
        lost: list[int] = []

        def want(number: int) -> None:
            try:
                storage.create(path, b"by %d" % number)
                won.append(number)
            except FileExistsError:
                lost.append(number)

        threads = [threading.Thread(target=want, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 5)
        assert storage.read(path) == b"by %d" % won[0]

    def test_a_put_replaces(self, storage: Storage) -> None:
        storage.put("lake.json", b"one")
        assert storage.read("lake.json") == b"one"
        storage.put("lake.json", b"another")
        assert storage.read("lake.json") == b"another"

    def test_a_file_that_is_not_there_is_said_to_be_missing(self, storage: Storage) -> None:
        path = _metadata(storage, "nothing")
        assert storage.find(path) is None
        with pytest.raises(Corrupt) as raised:
            storage.read(path)
        assert raised.value.code == "metadata-missing"
        assert storage.absolute(path) in raised.value.message
        for look in (storage.size, storage.checksum):
            with pytest.raises(FileNotFoundError):
                look(path)
        with pytest.raises(FileNotFoundError):
            storage.open(path)

    def test_parts_of_a_file_are_read_at_any_place(self, storage: Storage) -> None:
        path = _metadata(storage, "large")
        content = bytes(range(256)) * 12_000
        storage.create(path, content)
        with storage.open(path) as file:
            file.seek(-5, 2)
            assert file.read(100) == content[-5:]
            file.seek(1_000_003)
            assert file.read(2_000) == content[1_000_003:1_002_003]
            file.seek(0)
            assert file.read() == content

    def test_paths_are_relative_to_the_location(self, storage: Storage) -> None:
        path = f"data/{UUID}/x.parquet"
        assert storage.absolute(path) == f"{storage.location}/{path}"
        assert storage.relative(storage.absolute(path)) == path

    def test_a_file_of_a_lake_that_was_moved_is_known_by_its_directory(
        self, storage: Storage
    ) -> None:
        path = f"data/{UUID}/x.parquet"
        for before in ("/somewhere/else", "s3://other/place", "file:///somewhere"):
            assert storage.relative(f"{before}/{path}") == path
        for strange in ("/etc/passwd", "s3://other/x.parquet"):
            with pytest.raises(Invalid) as raised:
                storage.relative(strange)
            assert raised.value.code == "outside-the-lake"

    def test_a_listing_tells_sizes_and_times(self, storage: Storage) -> None:
        began = datetime.now(UTC) - timedelta(seconds=2)  # noqa: TID251 - as the store's clock
        paths = {
            f"{storage.make_data_directory(UUID)}/a.parquet": 3,
            f"{storage.make_data_directory(OTHER)}/b.parquet": 2,
            f"{storage.make_metadata_directory(UUID)}/c.json": 1,
        }
        for path, size in paths.items():
            storage.create(path, b"x" * size)
        found = list(storage.list())
        assert {file.path: file.size_bytes for file in found} == paths
        ended = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251 - as above
        assert all(began <= file.modified <= ended for file in found)

    def test_a_listing_is_of_a_directory_and_not_of_a_beginning(self, storage: Storage) -> None:
        data = storage.make_data_directory(UUID)
        storage.create(f"{data}/a", b"1")
        storage.create(f"{storage.make_metadata_directory(UUID)}/b", b"1")
        assert [file.path for file in storage.list("data")] == [f"{data}/a"]
        assert [file.path for file in storage.list(data)] == [f"{data}/a"]
        assert list(storage.list("dat")) == []
        assert list(storage.list(f"data/{OTHER}")) == []

    def test_more_files_are_listed_than_one_page_holds(self, storage: Storage) -> None:
        data = storage.make_data_directory(UUID)
        names = {f"{data}/{number}" for number in range(1_003)}
        for name in names:
            storage.create(name, b"")
        assert {file.path for file in storage.list("data")} == names
        storage.delete(names)
        assert list(storage.list("data")) == []

    def test_deleted_files_are_gone(self, storage: Storage) -> None:
        kept, gone = _metadata(storage, "kept"), _metadata(storage, "gone")
        for path in (kept, gone):
            storage.create(path, b"1")
        storage.delete([gone, f"metadata/{UUID}/never"])
        assert storage.find(gone) is None
        assert [file.path for file in storage.list()] == [kept]
        storage.delete([])

    def test_what_a_writer_left_is_seen_by_others(self, storage: Storage) -> None:
        path = _metadata(storage, "a.json")
        storage.create(path, b"content")
        other: Storage = pickle.loads(pickle.dumps(storage))  # noqa: S301 - our own
        assert other.location == storage.location
        assert other.read(path) == b"content"
        storage.sync([path])


def _metadata(storage: Storage, name: str) -> str:
    return f"{storage.make_metadata_directory(UUID)}/{name}"

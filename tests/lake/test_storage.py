"""Both storages keep what the suite says."""

import uuid
from pathlib import Path

import pytest

from headgate.lake.local_storage import LocalStorage
from headgate.lake.object_storage import ObjectStorage
from headgate.testing.storage_suite import StorageSuite


class TestADirectory(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path)


class TestAnObjectStore(StorageSuite):
    @pytest.fixture
    def storage(self, object_server) -> ObjectStorage:
        return ObjectStorage(object_server.bucket(f"storage/{uuid.uuid4()}"))


class TestAWholeBucket:
    def test_a_lake_may_be_a_bucket_without_a_prefix(self, object_server):
        storage = ObjectStorage(object_server.bucket())
        path = f"metadata/{uuid.uuid4()}/x"
        storage.create(path, b"1")
        assert storage.absolute(path) == f"s3://lake/{path}"
        assert path in {file.path for file in storage.list()}
        storage.delete([path])
        assert storage.find(path) is None

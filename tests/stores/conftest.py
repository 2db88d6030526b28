"""Places in the session's object store, straight and behind a proxy where things go wrong."""

import uuid

import pytest

pytest.importorskip("obstore")

from headgate.testing.object_faults import FaultyStore
from headgate.testing.object_places import bucket_at

IMPATIENT = {"retries": 3, "patience_s": 20.0, "timeout_s": 5.0}


@pytest.fixture
def faulty(object_server):
    with FaultyStore(object_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def prefix():
    return f"stores/{uuid.uuid4()}"


@pytest.fixture
def straight(object_server, prefix):
    """The place itself: what is really there."""
    return bucket_at(object_server.endpoint, prefix)


@pytest.fixture
def bucket(faulty, prefix):
    """The same place, behind the proxy."""
    return bucket_at(faulty.endpoint, prefix, **IMPATIENT)

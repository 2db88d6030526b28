"""Ranges of a file hold all of its bytes, in order, however many cores look."""

import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import file_ranges
from headgate.file_ranges import chunks_of, look_through
from headgate.sources import digesting


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    cores=st.integers(1, 5),
    multiple_of=st.integers(1, 64),
    chunk=st.integers(1, 50),
)
def test_ranges_hold_all_bytes_in_order(tmp_path, monkeypatch, content, cores, multiple_of, chunk):
    monkeypatch.setattr(file_ranges, "LARGE_BYTES", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    path = tmp_path / "file"
    path.write_bytes(content)
    ranges = look_through(
        path,
        lambda descriptor, start, end: (start, b"".join(chunks_of(descriptor, start, end, chunk))),
        multiple_of=multiple_of,
    )
    assert b"".join(seen for _, seen in ranges) == content
    assert all(start % multiple_of == 0 for start, _ in ranges)
    assert len(ranges) <= cores


@pytest.mark.parametrize("size", [0, 1, 8, 9, 100])
def test_a_digest_is_the_same_on_every_machine(tmp_path, monkeypatch, size):
    monkeypatch.setattr(digesting, "_PIECE_BYTES", 8)
    path = tmp_path / "file"
    path.write_bytes(content := bytes(range(size)))
    pieces = [hashlib.sha256(content[at : at + 8]).digest() for at in range(0, size, 8)]
    found = {digesting.file_digest(path)}
    monkeypatch.setattr(file_ranges, "LARGE_BYTES", 1)
    for cores in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        found.add(digesting.file_digest(path))
    assert found == {f"sha256-8m:{hashlib.sha256(b''.join(pieces)).hexdigest()}"}

"""Few large files are written one after the other, many small ones side by side."""

from headgate.engines.side_by_side import ROW_GROUP, at_once


def test_cores_that_one_file_does_not_need_write_others() -> None:
    assert at_once(1, 10, threads=8) == 1
    assert at_once(100, 100 * 10, threads=8) == 8
    assert at_once(3, 3 * 10, threads=8) == 3
    assert at_once(20, 20 * 4 * ROW_GROUP, threads=8) == 2
    assert at_once(20, 20 * 40 * ROW_GROUP, threads=8) == 1
    assert at_once(20, 20 * 4 * ROW_GROUP, threads=1) == 1

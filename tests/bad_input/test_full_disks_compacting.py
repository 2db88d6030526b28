"""A disk without room while files are compacted: the table is as it was, and nothing is left."""

import json
import os

ROWS = """
@hg.step(mode="append")
def big() -> list[dict]:
    import secrets
    return [{"text": secrets.token_hex(400)} for _ in range(1000)]
"""


def free(disk):
    found = os.statvfs(disk.root)
    return found.f_bavail * found.f_frsize


def test_a_compaction_that_fills_the_disk_leaves_nothing_and_runs_again(small_disk):
    disk = small_disk
    disk.steps(ROWS)
    for _ in range(6):
        disk("run", "--force")
    filler = disk.root / "filler"
    filler.write_bytes(bytes(max(free(disk) - 1_500_000, 0)))
    head, room = disk.head(), free(disk)
    said = disk("table", "compact", "big", exits=8)
    assert "No space left on the disk" in said.err
    assert "Free space." in said.err
    assert "Readers of big see the same rows" in said.err
    assert disk.head() == head
    assert free(disk) > room - 400_000  # of the metastore's log at most
    assert disk.rows("select count(*) as n from big") == [{"n": 6000}]
    filler.unlink()
    said = disk("table", "compact", "big", "--json")
    [done] = json.loads(said.out)["tables"]
    assert (done["files_removed"], done["files_added"], done["rows"]) == (6, 1, 6000)
    assert disk.rows("select count(*) as n from big") == [{"n": 6000}]
    disk("doctor", "--files")

"""Which file systems a lake may be on."""

from pathlib import Path

import pytest

from headgate.errors import Refused
from headgate.lake.mounts import file_system, is_remote, refuse_remote

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /proc rw,nosuid - proc proc rw
31 22 0:27 / /mnt/team rw,relatime shared:9 master:3 - nfs4 server:/x rw,vers=4.2
32 31 0:28 / /mnt/team/scratch rw - tmpfs tmpfs rw
33 22 0:29 / /home/ann/My\\040Disk rw - fuse.sshfs host:/ rw
34 22 0:30 / /over rw - ext4 /dev/x rw
35 22 0:31 / /over rw - cifs //host/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/ann", "ext4"),
        ("/mnt/team", "nfs4"),
        ("/mnt/team/lake", "nfs4"),
        ("/mnt/teammate", "ext4"),
        ("/mnt/team/scratch/lake", "tmpfs"),
        ("/home/ann/My Disk/lake", "fuse.sshfs"),
        ("/over/lake", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system(MOUNTS, path) == kind


def test_an_unreadable_line_is_passed_over() -> None:
    assert file_system("nonsense\n1 2 3 - x\n" + MOUNTS, "/mnt/team") == "nfs4"
    assert file_system("", "/mnt/team") is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "fuseblk", "virtiofs"])
def test_network_and_fuse_are_remote(kind: str) -> None:
    assert is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs"])
def test_disks_are_not(kind: str) -> None:
    assert not is_remote(kind)


def test_a_remote_directory_is_refused_by_name(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 254:0 / {tmp_path} rw - nfs4 server:/ rw\n")
    with pytest.raises(Refused) as caught:
        refuse_remote(tmp_path / "lake", mounts)
    assert caught.value.code == "network-file-system"
    assert "nfs4" in caught.value.message


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 254:0 / {tmp_path}/far rw - nfs server:/ rw\n")
    with pytest.raises(Refused):
        refuse_remote(tmp_path / "near" / "lake", mounts)


def test_where_mounts_are_unknown_nothing_is_refused(tmp_path: Path) -> None:
    refuse_remote(tmp_path, tmp_path / "absent")

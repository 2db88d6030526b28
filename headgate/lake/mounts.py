"""Which file system a path is on. SQLite's locks and shared memory need a local one."""

import os
from pathlib import Path

from headgate.errors import Refused

_MOUNTS = Path("/proc/self/mountinfo")
# fmt: off
_REMOTE = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "orangefs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs",
    "vmhgfs",
})
# fmt: on


def file_system(mounts: str, path: str) -> str | None:
    """Give the type of the file system that holds an absolute, resolved path, or None.

    Args:
        mounts: the text of ``/proc/self/mountinfo`` (proc(5)).
        path: where to look.
    """
    best, kind = -1, None
    for line in mounts.splitlines():
        place, dash, device = line.partition(" - ")
        fields = place.split(" ")
        if not dash or len(fields) < 5:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = _unescaped(fields[4]).rstrip("/")
        inside = path == point or path.startswith(point + "/")
        if inside and len(point) >= best:  # of two mounts on one point, the later one is seen
            best, kind = len(point), device.split(" ", 1)[0]
    return kind


def is_remote(kind: str) -> bool:
    """Say whether a file system's type is a network's or FUSE's."""
    return kind in _REMOTE or kind.startswith("fuse")


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Give the type of the file system that holds a path, None where that is unknown."""
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return file_system(text, os.path.realpath(path))


def refuse_remote(directory: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a directory on a network or FUSE file system. Says nothing where that is unknown.

    Raises:
        Refused: ``network-file-system``.
    """
    kind = file_system_of(directory, mounts)
    if kind is not None and is_remote(kind):
        raise Refused(
            "network-file-system",
            f"{directory} is on a {kind} file system, where SQLite's locks cannot be relied upon.",
            hint="Put the lake on a local disk.",
            path=str(directory),
            file_system=kind,
        )


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text

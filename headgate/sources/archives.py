"""Members of ZIP archives, streamed to files of their own: no engine reads a ZIP by its path."""

import fnmatch
import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from headgate.digests import digest
from headgate.errors import Corrupt, Invalid, NotFound, Refused
from headgate.sources.digesting import FileState

LARGEST_BYTES = 64 * 1024**3
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1


def members(archive: FileState, wanted: str | None) -> tuple[str, ...]:
    """Give the names of the members that are meant; ``wanted`` is a name or a pattern.

    Without it the archive must hold exactly one file.

    Raises:
        Corrupt: ``archive-damaged``.
        Invalid: ``archive-member-unsaid``.
        NotFound: ``archive-member-missing``.
        Refused: ``archive-member-escapes``, ``archive-encrypted``.
    """
    with _opened(archive.path) as zipped:
        infos = {info.filename: info for info in zipped.infolist() if not info.is_dir()}
    names = tuple(infos)
    if wanted is None:
        chosen = tuple(n for n in names if not n.startswith("__MACOSX/"))
        if len(chosen) != 1:
            raise Invalid(
                "archive-member-unsaid",
                f"{archive.path} holds {len(chosen)} files: {', '.join(sorted(chosen)[:10])}.",
                hint='Say which: member="name.csv", or a pattern.',
                members=sorted(chosen),
            )
    else:
        chosen = (wanted,) if wanted in infos else tuple(fnmatch.filter(names, wanted))
        if not chosen:
            raise NotFound(
                "archive-member-missing",
                f"{archive.path} holds no {wanted!r}; it holds {', '.join(sorted(names)[:10])}.",
                member=wanted,
            )
    for name in chosen:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
            raise Refused(
                "archive-member-escapes",
                f"{archive.path} holds a member whose path leads out of the archive: {name!r}.",
                hint="Do not trust this archive; have it made anew.",
                member=name,
            )
        if infos[name].flag_bits & _ENCRYPTED:
            raise Refused(
                "archive-encrypted",
                f"{name} in {archive.path} is encrypted.",
                hint="Unpack it first.",
                member=name,
            )
    return tuple(sorted(chosen))


def staged_member(
    archive: FileState, member: str, directory: Path, *, largest_bytes: int = LARGEST_BYTES
) -> Path:
    """Give the member as a file below ``directory``, unpacked once for the archive's content.

    Raises:
        Refused: ``archive-member-too-large``.
        Corrupt: ``archive-damaged``.
    """
    suffix = "".join(PurePosixPath(member).suffixes[-2:])
    path = directory / f"{digest(archive.digest, member)}{suffix}"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with (
            _opened(archive.path) as zipped,
            zipped.open(member) as source,
            partial.open("wb") as file,
        ):
            _copy(source, file, largest_bytes, f"{member} in {archive.path}")
        partial.replace(path)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _damaged(archive.path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _copy(source: IO[bytes], target: IO[bytes], largest_bytes: int, what: str) -> None:
    """Copy at most so many bytes: a small archive can hold a huge file, whatever it declares."""
    left = largest_bytes
    while chunk := source.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise Refused(
                "archive-member-too-large",
                f"{what} is larger than {largest_bytes:,} bytes.",
                hint="Unpack it yourself, or raise largest_bytes.",
                largest_bytes=largest_bytes,
            )
        target.write(chunk)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> Corrupt:
    return Corrupt(
        "archive-damaged",
        f"{path} is no whole ZIP archive: {error}.",
        hint="Fetch the file again.",
        path=str(path),
    )

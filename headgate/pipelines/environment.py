"""The declared environment: which versions of foreign packages a step's code reached."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_MARK = ".dist-info"


def installed(packages: Iterable[str], *, search: Sequence[str] | None = None) -> Mapping[str, str]:
    """Give the versions of packages by their import names; ``absent`` for what is not installed.

    Reads the names of the ``.dist-info`` directories on ``search`` (``sys.path``); for a package
    that is distributed under another name (``yaml`` in ``PyYAML-6.0.2``), their lists of files.
    """
    wanted = sorted(set(packages))
    if not wanted:
        return {}
    distributions = _distributions(sys.path if search is None else search)
    by_name = {_normal(name): version for name, version, _ in distributions}
    found = {package: by_name.get(_normal(package)) for package in wanted}
    strangers = [package for package, version in found.items() if version is None]
    holders = _holders(strangers, distributions) if strangers else {}
    return {
        package: version or ", ".join(holders[package]) or "absent"
        for package, version in found.items()
    }


def _distributions(search: Sequence[str]) -> list[tuple[str, str, str]]:
    """Give name, version and directory of what is installed; the first on the path counts."""
    found: dict[str, tuple[str, str, str]] = {}
    for folder in search:
        try:  # names only: every step looks, and a path object for each file takes it 20 ms
            listed = os.listdir(folder or ".")  # noqa: PTH208 - that is why
        except OSError:
            continue
        for directory in sorted(name for name in listed if name.endswith(_MARK)):
            name, _, version = directory.removesuffix(_MARK).partition("-")
            found.setdefault(_normal(name), (name, version, f"{folder or '.'}/{directory}"))
    return list(found.values())


def _holders(
    packages: Iterable[str], distributions: Iterable[tuple[str, str, str]]
) -> Mapping[str, list[str]]:
    """Give the distributions whose files a package's are, by the list each keeps of them."""
    begins = {package: (f"\n{package}/".encode(), f"\n{package}.".encode()) for package in packages}
    holders: dict[str, list[str]] = {package: [] for package in begins}
    for name, version, path in distributions:
        try:
            record = b"\n" + Path(path, "RECORD").read_bytes()
        except OSError:
            continue
        for package, texts in begins.items():
            if any(text in record for text in texts):
                holders[package].append(f"{name} {version}")
    return holders


def _normal(name: str) -> str:
    return name.casefold().replace("-", "_").replace(".", "_")

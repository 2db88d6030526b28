"""The declared environment: which versions of foreign packages a step's code reached."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

_MARK = ".dist-info"


def installed(packages: Iterable[str], *, search: Sequence[str] | None = None) -> Mapping[str, str]:
    """Give the versions of packages by their import names, and Python's own as ``python``.

    Reads the names of the ``.dist-info`` directories on ``search`` (``sys.path``), and no file,
    unless a package is distributed under another name. What is not installed counts as ``absent``.
    """
    wanted = sorted(set(packages))
    versions = _versions(sys.path if search is None else search) if wanted else {}
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    strangers = []
    for package in wanted:
        version = versions.get(_normal(package))
        if version is None:
            strangers.append(package)
        else:
            found[package] = version
    if strangers:
        distributions = import_module("importlib.metadata").packages_distributions()
        for package in strangers:
            names = sorted(set(distributions.get(package, ())))
            found[package] = " ".join(
                f"{name} {versions.get(_normal(name), 'unknown')}" for name in names
            ) or ("absent")
    return found


def _versions(search: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for folder in search:
        try:
            names = [
                path.name for path in Path(folder or ".").iterdir() if path.name.endswith(_MARK)
            ]
        except OSError:
            continue
        for name in names:
            package, _, version = name.removesuffix(_MARK).partition("-")
            versions.setdefault(_normal(package), version)
    return versions


def _normal(name: str) -> str:
    return name.casefold().replace("-", "_").replace(".", "_")

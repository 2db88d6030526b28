"""Flat names for files that DuckDB puts into a tree of directories, one per partition value."""

import re

from headgate.digests import digest

_HIDDEN = re.compile(r"/\.([^/]*)@([^/]*)/(.+)\Z")


def hidden_directory(prefix: str, unique: str) -> str:
    """Give the name of a directory whose files get flat names in the directory above it."""
    return f".{prefix}-@-{unique}"


def flat_name(path: str) -> str:
    """Give the name a file gets in the end; a path in no hidden directory stays as it is.

    What is below ``.<prefix>-@-<unique>/`` becomes ``<prefix>-<digest>-<unique>.parquet``. Names of
    directories quote partition values, and object stores cannot move a file.
    """
    found = _HIDDEN.search(path)
    if found is None:
        return path
    return f"{path[: found.start()]}/{found[1]}{digest(found[3])[:16]}{found[2]}.parquet"

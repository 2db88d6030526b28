"""The code a step's output depends on, as one digest: its function and the project code it reaches.

Followed are globals, attributes of the project's modules, closures, defaults, methods, base classes
and values, from the function as it stands in memory; comments, formatting and docstrings change
nothing. Code outside the project counts by its name. A project module imported *inside* a function
counts whole, by its file.

Not seen: what is looked up by text at run time (``getattr``, ``importlib``), and the state of what
cannot be pickled, like locks and open connections: that counts by its type.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from headgate.digests import digest, digest_json
from headgate.errors import Internal
from headgate.pipelines.forms import PACKAGES
from headgate.pipelines.own_code import OwnCode
from headgate.pipelines.parameters import canonical
from headgate.pipelines.reached_code import ReachedCode
from headgate.pipelines.steps import Step

_FORMAT = f"1 python {sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDigest:
    """The digest, and the foreign packages reached: their import names, sorted.

    Packages of the forms a function takes and gives count as reached. Their versions
    (``installed``) belong into the fingerprint; Python's is in the digest.
    """

    digest: str
    packages: tuple[str, ...] = ()


class CodeDigests:
    """Digests of steps' code. Remembers what it read: make a new one when code was loaded anew.

    ``roots`` are the directories whose code is the project's own, any site-packages inside of them
    excepted. Threads may share it.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._reached = ReachedCode(OwnCode(roots))
        self._lock = RLock()

    def of(self, step: Step) -> CodeDigest:
        """Give the digest of what computes a step, and of what its function takes and gives.

        Raises:
            Internal: ``step-without-code``.
        """
        shape = digest_json(
            [
                [
                    [one.table, one.argument, one.form, one.sized, one.incremental, one.changes]
                    for one in step.inputs
                ],
                [[one.argument, one.kind] for one in step.injected],
                [[one.name, one.argument, one.group is not None] for one in step.parameters],
                step.returns,
            ]
        )
        if step.sql is not None:
            return CodeDigest(digest=digest("sql", step.sql.digest, shape))
        if step.source is not None and step.function is None:
            options = digest_json(canonical(dict(step.source.options)))
            return CodeDigest(digest=digest("source", step.source.kind, options))
        if step.function is None:
            raise Internal("step-without-code", f"Step {step.name} has nothing that computes it.")
        groups = {one.group: None for one in step.parameters}
        forms = {*(one.form for one in step.inputs if one.form is not None), *step.returns}
        packages = {PACKAGES[form] for form in forms if form in PACKAGES}
        with self._lock:
            pieces = list(self._reached.pieces((step.function, *groups), packages))
        return CodeDigest(
            digest=digest("code", _FORMAT, shape, *pieces), packages=tuple(sorted(packages))
        )

"""Why a run could not be published as it was."""

from dataclasses import dataclass

from headgate.lake import Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Another publication came first, and the run has to execute again: on which keys, and why.

    ``forced`` says that the steps that wrote the keys run again even where nothing they read
    changed.
    """

    head: Commit
    keys: tuple[str, ...]
    because: str
    by: str | None = None
    forced: bool = False

"""Which rows of a quarantine are meant. Stored with a run, so that it can be taken up again."""

import shlex

import msgspec


class Choice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which rows of a table's quarantine: those that violate a check, and for which SQL is true.

    ``overwrite`` replays rows, too, whose keys were written again since they were set aside.
    """

    table: str
    because: str | None = None
    where: str | None = None
    overwrite: bool = False

    @property
    def words(self) -> str:
        """What a person types to mean these rows again, behind the name of a command."""
        because = "" if self.because is None else f" --because {shlex.quote(self.because)}"
        where = "" if self.where is None else f" --where {shlex.quote(self.where)}"
        return f"{self.table}{because}{where}"

    def __str__(self) -> str:
        parts = [f"because of {self.because!r}"] if self.because is not None else []
        parts += [f"where {self.where}"] if self.where is not None else []
        return " ".join((self.table, " and ".join(parts))).strip()

"""Which rows of a quarantine are meant. Stored with a run, so that it can be taken up again."""

import msgspec


class Choice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which rows of a table's quarantine: those that violate a check, and for which SQL is true.

    ``overwrite`` replays rows, too, whose keys were written again since they were set aside.
    """

    table: str
    because: str | None = None
    where: str | None = None
    overwrite: bool = False

    def __str__(self) -> str:
        parts = [f"because of {self.because!r}"] if self.because is not None else []
        parts += [f"where {self.where}"] if self.where is not None else []
        return " ".join((self.table, " and ".join(parts))).strip()

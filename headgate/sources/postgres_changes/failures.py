"""What PostgreSQL says when it refuses, in our words: what was refused, and what mends it."""

import psycopg
from psycopg import errors

from headgate.errors import HeadgateError, Refused, Unavailable
from headgate.sources.databases.addresses import Address


def failure(error: psycopg.Error, address: Address, *, doing: str) -> HeadgateError:
    """Give our error of one of psycopg's; what cannot be mended by waiting is ``Refused``."""
    said = address.hide(str(error))
    match error:
        case errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return Refused(
                "database-login",
                f"{address.shown} does not let {address.user or 'us'} in: {said}.",
                hint="Look at user and password, and at the server's pg_hba.conf.",
                database=address.shown,
            )
        case errors.InsufficientPrivilege():
            return Refused(
                "database-right-missing",
                f"{address.user or 'The user'} may not do what was tried ({doing}): {said}.",
                hint="Give that right to the role, or let somebody do it who has it.",
                database=address.shown,
            )
        case errors.ObjectInUse():
            return slot_in_use(said, address)
        case errors.ConfigurationLimitExceeded():
            return Unavailable(
                "no-free-slot",
                f"{address.shown} has no free replication slot or sender: {said}.",
                hint="Drop slots nobody reads (select * from pg_replication_slots), or raise "
                "max_replication_slots and max_wal_senders and restart the server.",
                database=address.shown,
            )
    if isinstance(error, psycopg.OperationalError) and "authentication failed" in said:
        return Refused(
            "database-login",
            f"{address.shown} does not let {address.user or 'us'} in: {said}.",
            hint="Look at user and password, and at the server's pg_hba.conf.",
            database=address.shown,
        )
    return Unavailable(
        "database-unreachable",
        f"{address.shown} did not answer while {doing}: {said}.",
        readers="Nothing was published, and nothing was acknowledged: what was read is read again.",
        hint="Run it again when the server is there.",
        database=address.shown,
    )


def slot_in_use(said: str, address: Address) -> Unavailable:
    """Give the error of a slot that another session reads."""
    return Unavailable(
        "slot-in-use",
        f"The replication slot is read by somebody else on {address.shown}: {said}.",
        hint="Wait until the other run has ended; or see who it is:  "
        "select slot_name, active_pid from pg_replication_slots",
        database=address.shown,
    )


def is_transient(error: Exception) -> bool:
    """Whether it may succeed a moment later: a reader that was killed still holds its slot."""
    return isinstance(error, errors.ObjectInUse)

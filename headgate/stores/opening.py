"""The one place where a URL and options become something that holds objects."""

from typing import TYPE_CHECKING

from headgate.clock import Clock
from headgate.errors import Unavailable
from headgate.stores.options import StoreOptions, parse_address

if TYPE_CHECKING:
    from headgate.stores.bucket import Bucket


def open_bucket(url: str, options: StoreOptions, *, clock: Clock | None = None) -> "Bucket":
    """Give the bucket of a URL. Asks the store nothing yet.

    Raises:
        Invalid: ``bad-location``, ``bad-endpoint``.
        Unavailable: ``library-missing``.
    """
    address = parse_address(url)
    try:
        from headgate.stores.bucket import Bucket  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Unavailable(
            "library-missing",
            f"{url} is in an object store, and obstore is not installed.",
            hint="pip install headgate[s3]",
            library="obstore",
        ) from error
    return Bucket(address, options, clock=clock)

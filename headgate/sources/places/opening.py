"""The one place where a path or a URL becomes a place."""

from collections.abc import Mapping

from headgate.errors import Invalid
from headgate.sources.digesting import Digests
from headgate.sources.places.buckets import BucketPlace
from headgate.sources.places.local import LocalPlace
from headgate.sources.places.place import Place
from headgate.sources.places.web import OPTIONS as WEB_OPTIONS
from headgate.sources.places.web import WebPlace
from headgate.sources.source import Setting
from headgate.stores import REMOTE_OPTIONS

OPTIONS = REMOTE_OPTIONS | WEB_OPTIONS
_BUCKETS = ("s3", "gs", "az")
_WEB = ("https", "http")


def is_remote(pattern: str) -> bool:
    """Say whether a pattern is a URL."""
    return "://" in pattern


def place_of(
    pattern: str, options: Mapping[str, object], setting: Setting, digests: Digests
) -> Place:
    """Give the place a path, a pattern or a URL means. Nothing is asked yet.

    Raises:
        Invalid: ``path-is-url``; ``bad-location``, ``bad-option``.
    """
    scheme, _, rest = pattern.partition("://")
    if not is_remote(pattern):
        return LocalPlace(pattern, setting.root, digests)
    if scheme in _BUCKETS:
        return BucketPlace(pattern, options, setting)
    if scheme in _WEB:
        return WebPlace(pattern, options, setting)
    raise Invalid(
        "path-is-url",
        f"Files of {scheme}://{rest.rpartition('@')[2]} cannot be read.",
        hint=f"Known are paths, and {', '.join(f'{s}://' for s in (*_BUCKETS, *_WEB))}.",
        path=scheme,
    )

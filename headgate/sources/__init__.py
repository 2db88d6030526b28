"""Sources: where rows come from. A source reads; it never writes and never commits.

Names load when they are first touched.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.sources.cursor_words import SayingHowFar as SayingHowFar
    from headgate.sources.cursor_words import how_far as how_far
    from headgate.sources.cursors import Cursor as Cursor
    from headgate.sources.files import FileSource as FileSource
    from headgate.sources.reaching import reach as reach
    from headgate.sources.reaching import reach_file as reach_file
    from headgate.sources.rest.cutting import page_records as page_records
    from headgate.sources.rest.source import RestSource as RestSource
    from headgate.sources.source import Batch as Batch
    from headgate.sources.source import Description as Description
    from headgate.sources.source import NativeRead as NativeRead
    from headgate.sources.source import Reserving as Reserving
    from headgate.sources.source import Setting as Setting
    from headgate.sources.source import Source as Source
    from headgate.sources.web.cutting import html_records as html_records
    from headgate.sources.web.source import WebSource as WebSource

_FILES = {
    "cursors": ("Cursor",),
    "files": ("FileSource",),
    "cursor_words": ("SayingHowFar", "how_far"),
    "reaching": ("reach", "reach_file"),
    "rest.cutting": ("page_records",),
    "rest.source": ("RestSource",),
    "web.cutting": ("html_records",),
    "web.source": ("WebSource",),
    "source": ("Batch", "Description", "NativeRead", "Reserving", "Setting", "Source"),
}

__getattr__, __dir__, __all__ = door(__name__, _FILES)

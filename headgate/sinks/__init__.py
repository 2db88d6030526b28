"""Sinks: where published rows are delivered. A sink takes one commit after the other, each whole.

Names load when they are first touched.
"""

from typing import TYPE_CHECKING

from headgate.doors import door

if TYPE_CHECKING:
    from headgate.sinks.kinds_meant import kind_hint as kind_hint
    from headgate.sinks.sink import Delivery as Delivery
    from headgate.sinks.sink import Description as Description
    from headgate.sinks.sink import Effect as Effect
    from headgate.sinks.sink import Mode as Mode
    from headgate.sinks.sink import Position as Position
    from headgate.sinks.sink import Reader as Reader
    from headgate.sinks.sink import Setting as Setting
    from headgate.sinks.sink import Sink as Sink
    from headgate.sinks.sink import TableDelivery as TableDelivery

_FILES = {
    "kinds_meant": ("kind_hint",),
    "sink": (
        "Delivery", "Description", "Effect", "Mode", "Position", "Reader", "Setting", "Sink",
        "TableDelivery",
    ),
}  # fmt: skip

__getattr__, __dir__, __all__ = door(__name__, _FILES)

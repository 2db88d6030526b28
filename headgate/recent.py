"""Recent values: a small cache that may be dropped at any moment."""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps the values used last, up to a total weight. Safe between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Value | None:
        """Give a value that is still there."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Value, *, weight: int = 1) -> None:
        """Keep a value; those not used for longest go."""
        with self._lock:
            previous = self._values.pop(key, None)
            self._weight += weight - (previous[1] if previous else 0)
            self._values[key] = (value, weight)
            while self._weight > self._limit and self._values:
                _, (_, gone) = self._values.popitem(last=False)
                self._weight -= gone

    def drop(self, key: str) -> None:
        """Forget a value."""
        with self._lock:
            found = self._values.pop(key, None)
            self._weight -= found[1] if found is not None else 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._weight = 0

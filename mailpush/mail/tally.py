"""Counting what one party does within a span of time, in the memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 50_000  # parties remembered; the longest known are forgotten first


class Tally:
    """So many a span and party; the span begins with a party's first deed."""

    def __init__(self, most: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, key: str) -> bool:
        """Count one more; return whether that is still within the limit."""
        began, count = self._current(key)
        self._counts[key] = began, count + 1
        if len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)
        return count < self._most

    def is_spent(self, key: str) -> bool:
        """Tell whether one more would be too many, without counting it."""
        return self._current(key)[1] >= self._most

    def _current(self, key: str) -> tuple[float, int]:
        now = self._clock()
        began, count = self._counts.get(key, (now, 0))
        if now - began < self._seconds:
            return began, count
        self._counts.pop(key, None)
        return now, 0

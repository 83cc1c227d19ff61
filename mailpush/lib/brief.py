"""What every call asks anew, believed for a second: a busy program asks it a thousand times in that second."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Brief(Generic[Value]):
    """Answers kept for a moment in this process; nothing that was not found is kept."""

    def __init__(self, *, seconds: float = 1.0, most: int = 10_000) -> None:
        self._seconds, self._most = seconds, most
        self._kept: dict[Hashable, tuple[float, Value]] = {}
        self._lock = threading.Lock()

    def of(self, key: Hashable, look: Callable[[], Value | None]) -> Value | None:
        """Return what is kept, else what `look` finds."""
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        found = look()
        if found is not None:
            with self._lock:
                if len(self._kept) >= self._most:
                    self._kept.clear()
                self._kept[key] = now + self._seconds, found
        return found

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

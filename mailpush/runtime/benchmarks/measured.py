"""What a benchmark hands back."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers under the names that programs read, and sentences for people."""

    numbers: dict[str, Any]
    notes: list[str] = field(default_factory=list)

"""The parameters of a call, read one by one with DirectMail's errors: `MissingX`, `InvalidX`, `InvalidX.Malformed`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from mailpush.rpc import errors

TRUE, FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
LARGEST_ID = 2**63 - 1
NUMBER = re.compile(r"-?\d{1,19}")
STORABLE = re.compile(r"[^\0\ud800-\udfff]*")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, counted from 1."""

    number: int
    size: int

    @property
    def rows(self) -> slice:
        return slice((self.number - 1) * self.size, self.number * self.size)


class Params:
    """What was sent, by name. An empty value counts as none, as some clients send every parameter they know."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent

    def has(self, name: str) -> bool:
        return bool(self._sent.get(name))

    def text(self, name: str, default: str | None = None, *, most: int = 0) -> str:
        """Return a text of at most `most` characters; `default` None makes it mandatory.

        :raises ApiError: it is missing, too long, or has a NUL.
        """
        value = self._sent.get(name, "")
        if not value:
            if default is None:
                raise errors.missing(name)
            return default
        if "\0" in value:
            raise errors.not_valid(name, f"{name} has a NUL character.", kind="Malformed")
        if most and len(value) > most:
            raise errors.not_valid(name, f"{name} has at most {most} characters.", kind="Malformed")
        return value

    def number(self, name: str, default: int | None = None, *, lowest: int = 0, highest: int = LARGEST_ID) -> int:
        """Return a whole number.

        :raises ApiError: it is missing, no number, or out of bounds.
        """
        if not self.has(name) and default is not None:
            return default
        text = self.text(name).strip()
        if not NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
            raise errors.not_valid(name, f"{name} must be a whole number from {lowest} to {highest}.", kind="Malformed")
        return int(text)

    def optional_number(self, name: str, *, lowest: int = 0, highest: int = LARGEST_ID) -> int | None:
        return self.number(name, lowest=lowest, highest=highest) if self.has(name) else None

    def flag(self, name: str, default: bool | None = None) -> bool:  # noqa: FBT001 a parameter's default
        """Return a boolean, which Python's SDK writes `True` and others `true` or `1`.

        :raises ApiError: it is missing, or something else.
        """
        if not self.has(name) and default is not None:
            return default
        text = self.text(name).strip().lower()
        if text not in TRUE | FALSE:
            raise errors.not_valid(name, f"{name} must be true or false.", kind="Malformed")
        return text in TRUE

    def json(self, name: str) -> Any:
        """Return what a JSON text says.

        :raises ApiError: it is missing or no JSON, or has a NUL or half a character, which nothing can store.
        """
        try:
            value = json.loads(self.text(name))
            is_storable = all(STORABLE.fullmatch(text) for text in _texts(value))
        except (ValueError, RecursionError) as error:
            raise errors.not_valid(name, f"{name} must be JSON: {error}.", kind="Malformed") from error
        if not is_storable:
            raise errors.not_valid(name, f"{name} has a NUL or half a character in it.", kind="Malformed")
        return value

    def json_object(self, name: str) -> dict[str, Any]:
        """Return a JSON object; an absent one is empty."""
        value = self.json(name) if self.has(name) else {}
        if not isinstance(value, dict):
            raise errors.not_valid(name, f"{name} must be a JSON object.", kind="Malformed")
        return value

    def items(self, name: str) -> list["Params"]:
        """Return the members of a flattened list: `Attachments.1.AttachmentName` and so on, in their order."""
        members: dict[int, dict[str, str]] = {}
        for key, value in self._sent.items():
            head, _, rest = key.partition(".")
            place, _, inner = rest.partition(".")
            if head == name and place.isdecimal() and inner:
                members.setdefault(int(place[:6]), {})[inner] = value
        return [Params(members[place]) for place in sorted(members)]

    def day(self, name: str) -> date:
        """Return a date written yyyy-MM-dd.

        :raises ApiError: it is missing or none.
        """
        return self._time(name, "%Y-%m-%d").date()

    def minute(self, name: str) -> datetime:
        """Return a moment written yyyy-MM-dd HH:mm, in UTC.

        :raises ApiError: it is missing or none.
        """
        return self._time(name, "%Y-%m-%d %H:%M")

    def moment(self, name: str) -> datetime:
        """Return a moment written as RFC 3339 in UTC.

        :raises ApiError: it is missing or none.
        """
        return self._time(name, "%Y-%m-%dT%H:%M:%SZ")

    def second(self, name: str) -> datetime | None:
        """Return a moment given in seconds since 1970, None where there is none.

        :raises ApiError: it is no such number.
        """
        seconds = self.optional_number(name, highest=253_402_300_799)  # the end of the year 9999
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def page(self, *, most: int, usual: int, number: str = "PageNo", size: str = "PageSize") -> Page:
        """Return the page that is asked for.

        :raises ApiError: number or size are out of bounds.
        """
        return Page(
            self.number(number, 1, lowest=1, highest=1_000_000), self.number(size, usual, lowest=1, highest=most)
        )

    def _time(self, name: str, form: str) -> datetime:
        try:
            return datetime.strptime(self.text(name).strip(), form).replace(tzinfo=UTC)
        except ValueError as error:
            written = {"%Y-%m-%d": "yyyy-MM-dd", "%Y-%m-%d %H:%M": "yyyy-MM-dd HH:mm"}
            sentence = f"{name} must be written {written.get(form, 'yyyy-MM-ddTHH:mm:ssZ')}."
            raise errors.not_valid(name, sentence, kind="Malformed") from error


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in what JSON has said, names among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)

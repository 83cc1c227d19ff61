"""What a submitted message asks of us in header fields of its own: our simple ones, and DirectMail's.

`X-Mailpush-Tag`, `X-Mailpush-Track` and `X-Mailpush-Idempotency-Key` are plain text. `X-AliDM-Trace` and
`X-AliDM-Settings` are base64 of a JSON object, as DirectMail documents them; what concerns services we do not have (IP
pools) is read and passed over, so that programs written for DirectMail work as they are.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from mailpush.mail.submitted import Submitted

KEY_LENGTH = 255
FILTER_LEVELS = frozenset({"disabled", "default", "mailfrom", "mailfrom_domain", "edm_id"})
LINK_TYPES = frozenset({"disabled", "default"})
TRACK = {"": False, "yes": True, "no": False}
TRACES = ("OpenTrace", "LinkTrace")  # we have both or none


class BadDirective(Exception):
    """A field that asks something of us cannot be read; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Directives:
    """Empty where nothing is asked."""

    tag: str = ""
    key: str = ""  # messages with the same one are the same message
    is_tracked: bool = False


def read(message: Submitted) -> Directives:
    """Return what the message asks for.

    :raises BadDirective: a field cannot be read.
    """
    trace = _object(message, "X-AliDM-Trace")
    _check_settings(_object(message, "X-AliDM-Settings"))
    tag = message.value(b"x-mailpush-tag") or trace.get("TagName") or ""
    if not isinstance(tag, str):
        raise BadDirective("X-AliDM-Trace: TagName must be text")
    track = message.value(b"x-mailpush-track").lower()
    if track not in TRACK:
        raise BadDirective("X-Mailpush-Track: yes or no")
    is_tracked = TRACK[track] or (not track and any(str(trace.get(name)) == "1" for name in TRACES))
    key = message.value(b"x-mailpush-idempotency-key")
    if len(key) > KEY_LENGTH:
        raise BadDirective(f"X-Mailpush-Idempotency-Key: {KEY_LENGTH} characters are the most")
    return Directives(tag.strip(), key, is_tracked)


def _object(message: Submitted, name: str) -> dict[str, Any]:
    """Return the JSON object in a field, an empty one where the field is missing."""
    value = message.value(name.lower().encode())
    if not value:
        return {}
    try:
        found = json.loads(base64.b64decode("".join(value.split()), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadDirective(f"{name}: the value must be base64 of a JSON object")
    return found


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse what DirectMail refuses: a misspelt level would be believed to hold."""
    unsubscribe = settings.get("Unsubscribe") or {}
    if not isinstance(unsubscribe, dict):
        raise BadDirective("X-AliDM-Settings: Unsubscribe must be an object")
    for name, known in (("FilterLevel", FILTER_LEVELS), ("LinkType", LINK_TYPES)):
        if str(unsubscribe.get(name, "default")) not in known:
            raise BadDirective(f"X-AliDM-Settings: Unsubscribe.{name} must be one of {', '.join(sorted(known))}")

"""The one rule about time zones: they must be known here."""

import zoneinfo
from functools import cache

from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal


class UnknownTimeZone(Refusal):
    """The time zone database does not have it."""

    code = "unknown_time_zone"


@cache  # asking reads every file of the database
def known() -> tuple[str, ...]:
    """Return the names of all time zones: UTC, then by continent."""
    places = (name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/"))
    return ("UTC", *sorted(places))


def must_be_known(name: str) -> None:
    """Refuse a name no clock can be set by.

    :raises UnknownTimeZone: the time zone database does not have it.
    """
    if name not in known():
        raise UnknownTimeZone(
            _("“%(name)s” is not a time zone. Use a name like Asia/Shanghai or UTC.") % {"name": name},
            field="time_zone",
        )

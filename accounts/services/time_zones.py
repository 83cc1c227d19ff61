"""The one rule about time zones: they must be known here."""

import zoneinfo

from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal


class UnknownTimeZone(Refusal):
    """The time zone database does not have it."""

    code = "unknown_time_zone"


def must_be_known(name: str) -> None:
    """Refuse a name no clock can be set by.

    :raises UnknownTimeZone: the time zone database does not have it.
    """
    if name not in zoneinfo.available_timezones():
        raise UnknownTimeZone(
            _("“%(name)s” is not a time zone. Use a name like Asia/Shanghai or UTC.") % {"name": name},
            field="time_zone",
        )

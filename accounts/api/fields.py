"""Shapes of input that mean what they say: no number passes for a text, and no unknown name is overlooked."""

from collections.abc import Mapping
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.urls import register_converter
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

BY_CHARACTER = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)
UNKNOWN = "unknown_field"
ID = "^[1-9][0-9]{0,17}$"  # a bigint has 19 digits


class Text(serializers.CharField):
    """Text as it is written, spaces included, that the database can keep and a mail can carry."""

    default_error_messages = {"unstorable": gettext_lazy("The text has characters that are none: NUL, or half of one.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})
        # DRF looks at each character by itself, which takes half a millisecond for a mail.
        self.validators = [each for each in self.validators if not isinstance(each, BY_CHARACTER)]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            data.encode()
        except UnicodeEncodeError:
            self.fail("unstorable")
        if "\0" in data:
            self.fail("unstorable")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    default_error_messages = {"invalid": gettext_lazy("Write true or false.")}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Id(serializers.RegexField):
    """An id as we give it out: digits, as text."""

    default_error_messages = {"invalid": gettext_lazy("An id is text of digits, such as “42”.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(ID, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdConverter:
    """`<id:pk>` in an address: what is no id of ours is no address of ours."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(IdConverter, "id")


class Shape(serializers.Serializer[Any]):
    """What a call may say. A name that it does not know is refused, as it is most likely a mistyped one."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := next((name for name in data if name not in self.fields), None)):
            raise serializers.ValidationError(
                {
                    str(unknown)[:64]: serializers.ErrorDetail(
                        _("There is no such field. Known are: %(known)s.") % {"known": ", ".join(self.fields)}, UNKNOWN
                    )
                }
            )
        return super().to_internal_value(data)

"""What calls on messages may say, and how messages are shown."""

import re
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from accounts.api.fields import Id, Shape, Text
from accounts.api.schema import asked_as, shown_as
from mailpush.mail.addresses import ADDRESS_LENGTH, BadAddress, parse
from sending import mime
from sending.acceptance import Addressee
from sending.models import Status
from sending.services.inline import Body
from sending.services.sends import MOST_RECIPIENTS, Wanted
from templates_app.rendering.compiling import ALIASES

BODY_CHARACTERS = 2_000_000
SUBJECT_LENGTH = 256
VARIABLE_NAME = re.compile(r"[^\W\d_]\w{0,63}")
MOST_VARIABLES = 100
VALUE_LENGTH = 10_000
MOST_HEADERS = 30
MOST_ATTACHMENTS = 50
# Field names that programs may set: their own (X-…), and those that say how mails belong together or what they are.
# Everything else is written by us, or would let a mail pass for another.
HEADER_NAME = re.compile(
    r"(?i)X-[A-Za-z0-9-]{1,70}|In-Reply-To|References|Importance|Priority|Sensitivity|Keywords|Comments"
    r"|Auto-Submitted|Precedence|Organization|List-Id|List-Help|List-Archive|List-Owner|Feedback-ID|Entity-Ref-ID"
)
OURS = re.compile(r"(?i)X-Mailpush-.*")
ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")
SENDER_NAME = re.compile(r'[^<>"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*')
CONTENT_ID = re.compile(r"[A-Za-z0-9._@-]{1,128}")
STORABLE = re.compile(r"[^\x00\ud800-\udfff]*")

VARIABLES = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": VALUE_LENGTH},
    "maxProperties": MOST_VARIABLES,
    "description": "Values of the variables, by name; `{Name}` in subject and bodies stands for them.",
}


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_RECIPIENTS,
        "items": {
            "type": "object",
            "required": ["address"],
            "additionalProperties": False,
            "properties": {
                "address": {"type": "string", "format": "email", "maxLength": ADDRESS_LENGTH},
                "variables": VARIABLES,
            },
        },
        "description": "Each gets a message of their own; nobody sees the others.",
    }
)
class Recipients(serializers.Field):  # type: ignore[type-arg]
    """Up to a thousand recipients, read by hand: one serializer for each would cost more than all the rest."""

    def to_internal_value(self, data: Any) -> list[Addressee]:
        if not isinstance(data, list) or not 1 <= len(data) <= MOST_RECIPIENTS:
            raise serializers.ValidationError(
                _("Write a list of 1 to %(most)d recipients.") % {"most": MOST_RECIPIENTS}
            )
        return [_addressee(number, entry) for number, entry in enumerate(data)]

    def to_representation(self, value: Any) -> Any:
        return value


def _addressee(number: int, entry: Any) -> Addressee:
    if not isinstance(entry, dict) or not isinstance(entry.get("address"), str):
        raise _wrong(number, "address", _("Write an object with an address."))
    if unknown := entry.keys() - {"address", "variables"}:
        raise _wrong(number, str(min(unknown))[:64], _("A recipient has an address and variables."), "unknown_field")
    try:
        address = str(parse(entry["address"]))
    except BadAddress as problem:
        raise _wrong(number, "address", str(problem), "bad_address") from problem
    return Addressee(address, _variables(number, entry.get("variables", {})))


def _variables(number: int, given: Any) -> dict[str, str] | None:
    if not isinstance(given, dict) or len(given) > MOST_VARIABLES:
        raise _wrong(number, "variables", _("Write an object of at most %(most)d texts.") % {"most": MOST_VARIABLES})
    for name, value in given.items():
        if not VARIABLE_NAME.fullmatch(name):
            raise _wrong(
                number,
                "variables",
                _("A variable's name begins with a letter and has up to 64 letters, digits and “_”."),
                "bad_name",
            )
        if not isinstance(value, str) or len(value) > VALUE_LENGTH or not STORABLE.fullmatch(value):
            raise _wrong(
                number,
                f"variables.{name}",
                _("Write a text of at most %(most)d characters.") % {"most": VALUE_LENGTH},
                "bad_value",
            )
    return {str(ALIASES.get(name, name)): value for name, value in given.items()} or None


def _wrong(number: int, name: str, message: str, code: str = "invalid") -> serializers.ValidationError:
    mistakes: Any = {number: {name: [ErrorDetail(message, code)]}}
    return serializers.ValidationError(mistakes)


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": MOST_HEADERS,
        "additionalProperties": {"type": "string", "maxLength": 900},
        "description": "Header fields of your own: `X-…`, `References`, `In-Reply-To`, `List-Id` and a few more.",
        "example": {"X-Order": "4711"},
    }
)
class Headers(serializers.Field):  # type: ignore[type-arg]
    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or len(data) > MOST_HEADERS:
            raise serializers.ValidationError(
                _("Write an object of at most %(most)d header fields.") % {"most": MOST_HEADERS}
            )
        for name, value in data.items():
            if not HEADER_NAME.fullmatch(name) or OURS.fullmatch(name):
                raise serializers.ValidationError(
                    {name[:78]: [ErrorDetail(_("This header field is not for programs to set."), "header_not_allowed")]}
                )
            if not isinstance(value, str) or not ONE_LINE.fullmatch(value) or len(value) > 900:  # noqa: PLR2004 - a line of mail has 998 octets
                message = _("Write a text in one line, of at most 900 characters.")
                raise serializers.ValidationError({name: [ErrorDetail(message, "bad_header")]})
        if len({name.lower() for name in data}) < len(data):
            raise serializers.ValidationError(_("A header field stands there twice."))
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class AttachmentShape(Shape):
    name = Text(max_length=200, help_text="The file's name, as the reader sees it.")
    type = Text(max_length=127, default="application/octet-stream", help_text="Its media type, such as `image/png`.")
    content = Text(
        allow_blank=True,
        help_text="The file in base64. All of a mail's attachments together have 15 MB at most.",
    )
    content_id = Text(
        required=False, max_length=128, help_text="Makes it a picture of the HTML body, where `cid:<this>` stands."
    )

    def validate_name(self, name: str) -> str:
        if not ONE_LINE.fullmatch(name) or set(name) & set("/\\"):
            raise serializers.ValidationError(_("A file's name has neither slashes nor line breaks."))
        return name

    def validate_type(self, text: str) -> str:
        if not mime.CONTENT_TYPE.fullmatch(text.lower()) or text.lower().startswith(("multipart/", "message/")):
            raise serializers.ValidationError(_("Write a media type of a file, such as application/pdf."))
        return text.lower()

    def validate_content(self, text: str) -> bytes:
        try:
            return mime.decoded(text)
        except mime.NotBase64 as problem:
            raise serializers.ValidationError(_("This is not base64."), code="not_base64") from problem

    def validate_content_id(self, text: str) -> str:
        if not CONTENT_ID.fullmatch(text):
            raise serializers.ValidationError(_("Use letters, digits and the signs . _ @ -"))
        return text

    def validate(self, attrs: dict[str, Any]) -> Any:
        return mime.Attachment(**attrs)


SEND_EXAMPLE = {
    "sender": "no-reply@news.example.com",
    "sender_name": "Example Shop",
    "recipients": [{"address": "anna@example.org", "variables": {"Name": "Anna", "Code": "123 456"}}],
    "subject": "Your code: {Code}",
    "html": "<p>Hello {Name}, your code is <b>{Code}</b>.</p>",
    "tag": "codes",
}
TEMPLATE_EXAMPLE = {
    "sender": "no-reply@news.example.com",
    "recipients": [
        {"address": "anna@example.org", "variables": {"UserName": "Anna"}},
        {"address": "ben@example.org", "variables": {"UserName": "Ben"}},
    ],
    "template": "7",
    "at": "2027-01-31T09:00:00+08:00",
}


@asked_as(SEND_EXAMPLE, TEMPLATE_EXAMPLE)
class SendMessages(Shape):
    sender = Text(max_length=ADDRESS_LENGTH, help_text="One of your sender addresses.")
    recipients = Recipients()
    subject = Text(
        required=False, max_length=SUBJECT_LENGTH, help_text="Needed without `template`, and not allowed with it."
    )
    html = Text(required=False, max_length=BODY_CHARACTERS, help_text="The HTML body; `html` or `text` is needed.")
    text = Text(
        required=False, max_length=BODY_CHARACTERS, help_text="The text body; made of the HTML where you give none."
    )
    template = Id(required=False, help_text="A template's id; what is approved of it is sent.")
    sender_name = Text(required=False, allow_blank=True, max_length=64, help_text="Shown beside the sender address.")
    reply_to = Text(
        required=False,
        max_length=ADDRESS_LENGTH,
        help_text="Where replies go. Left out: the sender's confirmed reply address.",
    )
    headers = Headers(required=False)
    attachments = AttachmentShape(many=True, required=False, max_length=MOST_ATTACHMENTS)  # type: ignore[call-arg]
    tag = Text(required=False, max_length=128, help_text="One of your tags, by name.")
    at = serializers.DateTimeField(
        required=False, help_text="When they are to leave, at most 30 days ahead; left out: now."
    )
    tracked = serializers.BooleanField(
        default=False,
        help_text="Whether opens and clicks of the HTML body are counted: its links then lead through this platform.",
    )

    def validate_subject(self, subject: str) -> str:
        if not ONE_LINE.fullmatch(subject):
            raise serializers.ValidationError(_("A subject has no line breaks and no control characters."))
        return subject

    def validate_sender_name(self, name: str) -> str:
        if not SENDER_NAME.fullmatch(name):
            raise serializers.ValidationError(_('A sender name has none of < > " and no line breaks.'))
        return name

    def validate_reply_to(self, text: str) -> str:
        try:
            return str(parse(text))
        except BadAddress as problem:
            raise serializers.ValidationError(str(problem), code="bad_address") from problem

    def validate(self, attrs: dict[str, Any]) -> Any:
        """Return what the service takes."""
        attrs["is_tracked"] = attrs.pop("tracked")
        said = {name: attrs.pop(name) for name in ("subject", "html", "text") if name in attrs}
        if "template" in attrs and said:
            raise serializers.ValidationError(
                {next(iter(said)): _("A template has its own; leave this out, or the template.")}
            )
        if "template" not in attrs:
            if "subject" not in said:
                raise serializers.ValidationError({"subject": _("Write a subject, or name a template.")})
            if len(said) == 1:
                raise serializers.ValidationError({"html": _("Write a body: html, text or both.")})
            return Wanted(**attrs, body=Body(**said))
        return Wanted(**attrs | {"template": int(attrs["template"])})


class AcceptedMessage(serializers.Serializer[Any]):
    id = serializers.CharField()
    recipient = serializers.CharField()
    status = serializers.ChoiceField([Status.QUEUED, Status.SUPPRESSED])


@shown_as({"data": [{"id": "1042", "recipient": "anna@example.org", "status": "queued"}]})
class AcceptedMessages(serializers.Serializer[Any]):
    """In the order of the recipients; a `suppressed` one is on your suppression list and gets nothing."""

    data = AcceptedMessage(many=True)  # type: ignore[assignment] # the name is the field's, in answers

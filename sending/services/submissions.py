"""Accepting what programs submit as finished messages, many at a time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal
from senders.models import Sender, Tag
from sending import acceptance
from sending.acceptance import Addressee, Submission
from sending.models import AddressType
from sending.services.batches import SenderNotUsable


class LoginEnded(Refusal):
    """The SMTP password was changed or taken away since."""

    code = "login_ended"


class TagNotFound(Refusal):
    code = "tag_not_found"


@dataclass(slots=True)
class Incoming:
    """A message as a program submits it, and who has logged in to do so (as the rows were then).

    :param author: the address it is from, in lower case.
    :param key: what makes another one a repetition of it; empty: nothing.
    :param stored: what `bodies.store` says of the message.
    """

    login: Sender
    author: str
    recipients: Sequence[str]
    tag: str = ""
    key: str = ""
    stored: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first message's id; of a repetition, the one it had the first time."""

    message_id: int
    is_new: bool
    lanes: acceptance.Lanes


def whose(wanted: Incoming) -> tuple[Sender, Tag | None]:
    """Return the sender and the tag of a message, as they are now.

    :raises LoginEnded, SenderNotUsable, TagNotFound: it may not be sent.
    """
    return _Senders([wanted]).of(wanted), _Tags([wanted]).of(wanted)


def accept(wanted: Sequence[Incoming], *, now: datetime) -> list[Accepted | Refusal]:
    """Accept messages; each is answered for itself, in their order. The caller wakes the lanes.

    Refused with SenderNotUsable, LoginEnded, TagNotFound or QuotaSpent.
    """
    senders = _Senders(wanted)
    tags = _Tags(wanted)
    answers: list[Submission | Refusal] = []
    for each in wanted:
        try:
            answers.append(_submission(each, senders.of(each), tags.of(each)))
        except Refusal as refusal:
            answers.append(refusal)
    lanes = acceptance.accept([answer for answer in answers if isinstance(answer, Submission)], now=now)
    return [_answer(each, lanes) for each in answers]


def _submission(wanted: Incoming, sender: Sender, tag: Tag | None) -> Submission:
    content = {
        **wanted.stored,
        "tag_id": tag.pk if tag else None,
        "stream": sender.stream,
        "address_type": AddressType.RANDOM.value,
    }
    return Submission(sender, content, [Addressee(address) for address in wanted.recipients], wanted.key)


def _answer(submission: Submission | Refusal, lanes: acceptance.Lanes) -> Accepted | Refusal:
    if isinstance(submission, Refusal):
        return submission
    if submission.refusal:
        return submission.refusal
    return Accepted(submission.taken[0].message_id, submission.is_new, lanes)


class _Senders:
    """The senders of a group as they are now."""

    def __init__(self, wanted: Sequence[Incoming]) -> None:
        self._by_id = _fresh({each.login.pk for each in wanted})
        by_domain = [each for each in wanted if each.login.is_domain_login]
        accounts, authors = {each.login.account_id for each in by_domain}, {each.author for each in by_domain}
        found = _rows(account__in=accounts, address__in=authors, deleted_at=None) if by_domain else ()
        self._by_address = {(sender.account_id, sender.address): sender for sender in found}

    def of(self, wanted: Incoming) -> Sender:
        """Return whose message it is: the login's, or at a domain's login the author's own where it has one.

        :raises LoginEnded, SenderNotUsable: it may not be sent.
        """
        login = self._by_id.get(wanted.login.pk)
        if login is None or login.smtp_password_hash != wanted.login.smtp_password_hash:
            raise LoginEnded(_("The SMTP password has been changed. Log in with the present one."))
        sender = login
        if login.is_domain_login:
            sender = self._by_address.get((login.account_id, wanted.author), login)
        if not login.is_usable or not sender.is_usable:
            raise SenderNotUsable(
                _("%(address)s may not send at present. See its page in the console.") % {"address": sender}
            )
        return sender


# What a row said is believed for a moment: many messages a second have the same sender.
BELIEVED_FOR = 1.0  # seconds
MOST_BELIEVED = 10_000
_believed: dict[int, tuple[float, Sender]] = {}


def _fresh(ids: set[int]) -> dict[int, Sender]:
    now = time.monotonic()
    known = {pk: found[1] for pk in ids if (found := _believed.get(pk)) and found[0] > now}
    if missing := ids - known.keys():
        if len(_believed) > MOST_BELIEVED:
            _believed.clear()
        for sender in _rows(pk__in=missing):
            known[sender.pk] = sender
            _believed[sender.pk] = now + BELIEVED_FOR, sender
    return known


def _rows(**wanted: Any) -> QuerySet[Sender]:
    return Sender.objects.filter(**wanted).select_related("account", "domain")


class _Tags:
    """The tags that a group names, looked up once."""

    def __init__(self, wanted: Sequence[Incoming]) -> None:
        accounts = {each.login.account_id for each in wanted if each.tag}
        found = Tag.objects.filter(account__in=accounts, deleted_at=None) if accounts else ()
        self._by_name = {(tag.account_id, tag.name.lower()): tag for tag in found}

    def of(self, wanted: Incoming) -> Tag | None:
        """:raises TagNotFound: the account has none of that name."""
        if not wanted.tag:
            return None
        tag = self._by_name.get((wanted.login.account_id, wanted.tag.lower()))
        if tag is None:
            raise TagNotFound(
                _("There is no tag “%(name)s”. Create it in the console, or leave the field out.")
                % {"name": wanted.tag[:80]}
            )
        return tag

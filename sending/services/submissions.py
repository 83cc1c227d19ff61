"""Accepting what programs submit as finished messages, many at a time."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal
from mailpush.lib.threads import in_thread
from senders.models import Sender, Tag
from sending import acceptance
from sending.acceptance import Addressee, Submission
from sending.models import AddressType
from sending.services.batches import SenderNotUsable
from sending.statements import Line


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
    is_tracked: bool = False
    stored: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first message's id; of a repetition, the one it had the first time."""

    message_id: int
    is_new: bool


def whose(wanted: Incoming) -> tuple[Sender, Tag | None]:
    """Return the sender and the tag of a message, as they are now.

    :raises LoginEnded, SenderNotUsable, TagNotFound: it may not be sent.
    """
    known = _Known.looked_up([wanted])
    return known.sender_of(wanted), known.tag_of(wanted)


async def accept(
    line: Line, wanted: Sequence[Incoming], *, now: datetime
) -> tuple[list[Accepted | Refusal], acceptance.Lanes]:
    """Accept messages from an event loop; each is answered for itself, in their order. The caller wakes the lanes.

    Refused with SenderNotUsable, LoginEnded, TagNotFound or QuotaSpent.
    """
    known = _Known.at_hand(wanted)
    if known is None:
        known = await in_thread(_Known.looked_up, wanted)
    answers: list[Submission | Refusal] = []
    for each in wanted:
        try:
            answers.append(_submission(each, known.sender_of(each), known.tag_of(each)))
        except Refusal as refusal:
            answers.append(refusal)
    drafts = [answer for answer in answers if isinstance(answer, Submission)]
    lanes = await acceptance.accept_over(line, drafts, now=now)
    return [_answer(each) for each in answers], lanes


def _submission(wanted: Incoming, sender: Sender, tag: Tag | None) -> Submission:
    content = {
        **wanted.stored,
        "tag_id": tag.pk if tag else None,
        "stream": sender.stream,
        "address_type": AddressType.RANDOM.value,
        "is_tracked": wanted.is_tracked,
    }
    return Submission(sender, content, [Addressee(address) for address in wanted.recipients], wanted.key)


def _answer(submission: Submission | Refusal) -> Accepted | Refusal:
    if isinstance(submission, Refusal):
        return submission
    return submission.refusal or Accepted(submission.taken[0].message_id, submission.is_new)


@dataclass(frozen=True, slots=True)
class _Known:
    """The senders and tags of a group as they are now."""

    logins: Mapping[int, Sender]
    authors: Mapping[tuple[int, str], Sender]  # by account and address; for logins of whole domains
    tags: Mapping[tuple[int, str], Tag]  # by account and name in lower case

    @classmethod
    def at_hand(cls, wanted: Sequence[Incoming]) -> Self | None:
        """Return them where the database need not be asked."""
        ids = {each.login.pk for each in wanted}
        logins = _believed_of(ids)
        if len(logins) < len(ids) or any(each.tag or each.login.is_domain_login for each in wanted):
            return None
        return cls(logins, {}, {})

    @classmethod
    def looked_up(cls, wanted: Sequence[Incoming]) -> Self:
        by_domain = [each for each in wanted if each.login.is_domain_login]
        accounts, addresses = {each.login.account_id for each in by_domain}, {each.author for each in by_domain}
        authors = _rows(account__in=accounts, address__in=addresses, deleted_at=None) if by_domain else ()
        tagged = {each.login.account_id for each in wanted if each.tag}
        tags = Tag.objects.filter(account__in=tagged, deleted_at=None) if tagged else ()
        return cls(
            _fresh({each.login.pk for each in wanted}),
            {(sender.account_id, sender.address): sender for sender in authors},
            {(tag.account_id, tag.name.lower()): tag for tag in tags},
        )

    def sender_of(self, wanted: Incoming) -> Sender:
        """Return whose message it is: the login's, or at a domain's login the author's own where it has one.

        :raises LoginEnded, SenderNotUsable: it may not be sent.
        """
        login = self.logins.get(wanted.login.pk)
        if login is None or login.smtp_password_hash != wanted.login.smtp_password_hash:
            raise LoginEnded(_("The SMTP password has been changed. Log in with the present one."))
        sender = self.authors.get((login.account_id, wanted.author), login)
        if not login.is_usable or (sender is not login and not sender.is_usable):
            raise SenderNotUsable(
                _("%(address)s may not send at present. See its page in the console.") % {"address": sender}
            )
        return sender

    def tag_of(self, wanted: Incoming) -> Tag | None:
        """:raises TagNotFound: the account has none of that name."""
        if not wanted.tag:
            return None
        tag = self.tags.get((wanted.login.account_id, wanted.tag.lower()))
        if tag is None:
            raise TagNotFound(
                _("There is no tag “%(name)s”. Create it in the console, or leave the field out.")
                % {"name": wanted.tag[:80]}
            )
        return tag


# What a row said is believed for a moment: many messages a second have the same sender.
BELIEVED_FOR = 1.0  # seconds
MOST_BELIEVED = 10_000
_believed: dict[int, tuple[float, Sender]] = {}


def _believed_of(ids: Collection[int]) -> dict[int, Sender]:
    now = time.monotonic()
    return {pk: found[1] for pk in ids if (found := _believed.get(pk)) and found[0] > now}


def _fresh(ids: set[int]) -> dict[int, Sender]:
    known = _believed_of(ids)
    if missing := ids - known.keys():
        if len(_believed) > MOST_BELIEVED:
            _believed.clear()
        for sender in _rows(pk__in=missing):
            known[sender.pk] = sender
            _believed[sender.pk] = time.monotonic() + BELIEVED_FOR, sender
    return known


def _rows(**wanted: Any) -> QuerySet[Sender]:
    return Sender.objects.filter(**wanted).select_related("account", "domain")

"""Mailboxes that take nothing for long."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recipients import suppression
from recipients.models import Suppression
from sending import hygiene
from sending.models import Event, Status
from tests.factories import ContentFactory, MessageFactory

pytestmark = pytest.mark.django_db

ANNA = "Anna@readers.example"


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def content():
    return ContentFactory()


@pytest.fixture
def mail(content, now):
    """Make a message that ended some days ago, as the ledger tells it."""

    def mail(days_ago, *, status=Status.FAILED, failure="mailbox_full", invalid=False, of=content, recipient=ANNA):
        at = now - timedelta(days=days_ago)
        message = MessageFactory(
            content=of, recipient=recipient, status=status, created_at=at, last_reply="452 4.2.2 full"
        )
        for moved_to in (Status.DEFERRED, status):
            Event.objects.create(
                account_id=message.account_id,
                message_id=message.pk,
                sender_id=of.sender_id,
                day=at.date(),
                was="queued",
                status=moved_to,
                failure="" if moved_to == Status.DELIVERED else failure,
                invalid=invalid,
                at=at,
            )
        return message

    return mail


def test_fifth_failure_in_a_row_over_a_week_suppresses(mail, now, content):
    for days_ago in (8, 6, 4, 2):
        mail(days_ago)
    assert hygiene.suppress_unreachable(now=now) == 0
    last = mail(0)

    assert hygiene.suppress_unreachable(now=now) == 1
    assert hygiene.suppress_unreachable(now=now) == 0

    row = Suppression.objects.get()
    assert (row.account, row.address, row.reason, row.evidence, row.message_id) == (
        content.account,
        "anna@readers.example",
        Suppression.Reason.UNREACHABLE,
        "452 4.2.2 full",
        last.pk,
    )
    assert suppression.is_suppressed(ANNA, account_id=content.account.pk)


def test_mailbox_unknown_for_now_counts_as_well(mail, now):
    for days_ago in (9, 6, 4, 2):
        mail(days_ago, status=Status.BOUNCED)
    mail(0, failure="no_mailbox")

    assert hygiene.suppress_unreachable(now=now) == 1


@pytest.mark.parametrize(
    ("days", "changes"),
    [
        ((6, 5, 4, 2, 0), {}),  # within a week
        ((8, 4, 2, 0), {}),  # four
        ((100, 95, 93, 92, 0), {}),  # long ago
        ((9, 8, 7, 6, 5), {}),  # nothing new
        ((8, 6, 4, 2, 0), {2: {"status": Status.DELIVERED}}),
        ((8, 6, 4, 2, 0), {4: {"failure": "policy"}}),
        ((8, 6, 4, 2, 0), {0: {"failure": "rate"}}),
        ((8, 6, 4, 2, 0), {1: {"recipient": "bob@readers.example"}}),
    ],
)
def test_anything_less_suppresses_nobody(mail, now, days, changes):
    for number, days_ago in enumerate(days):
        mail(days_ago, **changes.get(number, {}))

    assert hygiene.suppress_unreachable(now=now) == 0


def test_failures_for_other_reasons_count_neither_way(mail, now):
    for days_ago in (8, 6, 4, 2):
        mail(days_ago)
        mail(days_ago - 1, failure="policy")
    mail(0)

    assert hygiene.suppress_unreachable(now=now) == 1


def test_accounts_are_judged_apart(mail, now):
    other = ContentFactory()
    for days_ago in (8, 6, 4):
        mail(days_ago)
    for days_ago in (5, 2, 0):
        mail(days_ago, of=other)

    assert hygiene.suppress_unreachable(now=now) == 0

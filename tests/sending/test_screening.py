"""Each question has its own answer, whatever has become of the others' accounts."""

import asyncio

import pytest
from django.utils import timezone

from accounts.models import Account
from domains.models import Domain
from recipients.models import Suppression
from senders.models import Sender, Stream
from sending import screening
from sending.screening import Question
from sending.statements import Line
from tests.factories import RecipientListFactory, SenderFactory

pytestmark = pytest.mark.django_db(transaction=True)


def ask(*questions):
    async def ask():
        line = Line()
        try:
            return await screening.ask(line, questions, now=timezone.now())
        finally:
            await line.close()

    return asyncio.run(ask())


def question(sender, key):
    return Question(sender, sender.address, key)


def test_findings_are_in_the_order_of_the_questions_though_an_account_is_gone():
    first, gone, last = (SenderFactory(stream=Stream.TRIGGER, account__daily_quota=100 + n) for n in range(3))
    suppressed = Suppression.objects.create(account=last.account, address="ann@north.example", reason="bounced")
    listed = RecipientListFactory(account=first.account, alias="news@lists.example")
    for rows in (Sender.objects.filter(pk=gone.pk), Domain.objects.filter(pk=gone.domain_id)):
        rows.delete()
    Account.objects.filter(pk=gone.account_id).delete()

    findings = ask(
        question(last, suppressed.address),
        question(gone, "ann@north.example"),
        question(first, listed.alias),
        question(last, "bob@north.example"),
    )

    assert [(finding.reason, finding.list_id, finding.left) for finding in findings] == [
        ("bounced", None, 102),
        ("", None, 0),
        ("", listed.pk, 100),
        ("", None, 102),
    ]

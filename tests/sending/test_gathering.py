"""Calls of many threads, accepted together."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from accounts import quotas
from accounts.models import QuotaUse
from sending import bodies
from sending.acceptance import Addressee, Submission
from sending.models import Content, Message
from sending.services import gathering
from tests.factories import SenderFactory

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 12


def submission(sender, name, recipients=1):
    content = {"stream": sender.stream, "address_type": "random", "kind": "composed", "subject": name, "text": "t"}
    to = [Addressee(f"{name}-{n}@readers.example.org") for n in range(recipients)]
    return Submission(sender, content, to)


def at_once(works):
    """Have each work done in a thread of its own, all begun together; return what each returned or raised."""
    start = Barrier(len(works))

    def run(work):
        start.wait()
        try:
            return work()
        except Exception as problem:  # noqa: BLE001 - what it is, is looked at
            return problem
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def accept(*submissions):
    return lambda: gathering.accept(submissions, now=timezone.now())


def test_each_thread_gets_its_own_messages(account):
    sender = SenderFactory(account=account, domain__account=account)

    answers = at_once([accept(submission(sender, f"t{n}")) for n in range(THREADS)])

    for n, (taken,) in enumerate(answers):
        message = Message.objects.get(pk=taken.message_id)
        assert (message.recipient, message.content.subject) == (f"t{n}-0@readers.example.org", f"t{n}")
    assert QuotaUse.objects.get().day_used == THREADS


def test_a_refusal_is_for_whom_it_concerns(account, stranger):
    account.daily_quota = 0
    account.save()
    poor = SenderFactory(account=account, domain__account=account)
    rich = SenderFactory(account=stranger.account, domain__account=stranger.account)

    answers = at_once([accept(submission(sender, f"t{n}")) for n in range(4) for sender in (poor, rich)])

    assert [isinstance(answer, quotas.QuotaSpent) for answer in answers] == [True, False] * 4
    assert set(Message.objects.values_list("account", flat=True)) == {stranger.account.pk}


def test_what_is_refused_does_not_stay_in_storage(account):
    account.daily_quota = 0
    account.save()
    large = submission(SenderFactory(account=account, domain__account=account), "large")
    large.content |= {"text": "", "subject": ""} | bodies.store(b"x" * (bodies.LARGEST_IN_ROW + 1))

    with pytest.raises(quotas.QuotaSpent):
        accept(large)()

    assert not default_storage.exists(large.content["mime_file"])


def test_several_of_a_call_are_all_accepted_or_none(account, stranger):
    account.daily_quota = 1
    account.save()
    poor = SenderFactory(account=account, domain__account=account)
    rich = SenderFactory(account=stranger.account, domain__account=stranger.account)

    answers = at_once(
        [accept(submission(poor, "a"), submission(poor, "b")), accept(submission(rich, "c"), submission(rich, "d"))]
    )

    assert isinstance(answers[0], quotas.QuotaSpent)
    assert len(answers[1]) == 2
    assert sorted(Content.objects.values_list("subject", flat=True)) == ["c", "d"]


def test_what_one_makes_the_database_refuse_is_its_own(account):
    sender = SenderFactory(account=account, domain__account=account)
    bad = submission(sender, "bad")
    bad.content["stream"] = "x" * 100

    answers = at_once([accept(bad), *(accept(submission(sender, f"t{n}")) for n in range(3))])

    assert isinstance(answers[0], Exception)
    assert [len(answer) for answer in answers[1:]] == [1, 1, 1]
    assert Message.objects.count() == 3
    assert len(accept(submission(sender, "later"))()) == 1  # somebody leads again


def test_who_is_stored_is_not_stored_again(account, stranger):
    """An account that pays for the first time is accepted after the others; what fails then is its own alone."""
    paying = SenderFactory(account=account, domain__account=account)
    accept(submission(paying, "before"))()
    new = SenderFactory(account=stranger.account, domain__account=stranger.account)
    bad = submission(new, "bad")
    bad.content["stream"] = "x" * 100
    group = [gathering._Call([submission(paying, "good")], timezone.now()), gathering._Call([bad], timezone.now())]

    gathering._work(group)

    assert [call.problem is None for call in group] == [True, False]
    assert sorted(Content.objects.values_list("subject", flat=True)) == ["before", "good"]

"""The roll-up against the ledger: exact, repeatable, and complete whatever order transactions end in."""

import time
from collections import Counter
from datetime import date, timedelta
from threading import Thread

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sending import ledger
from sending.models import AddressType, Content, Event, Message, Status
from stats import tasks
from stats.models import DailyFigure, LedgerPosition
from stats.rollups import roll_up
from tests.factories import EventFactory, SenderFactory, TagFactory

DAY = date(2026, 11, 2)

pytestmark = pytest.mark.django_db


def figures(**filters):
    """Everything but the keys, by day."""
    rows = DailyFigure.objects.filter(**filters).order_by("day", "sender", "tag")
    return [(row.day, row.total, row.success, row.failed, row.invalid) for row in rows]


def settle():
    """Roll up until all is settled: other transactions of the server may delay it.

    Those are autovacuum's, and the tests beside this one: each is a transaction from its beginning to its end. They
    are waited for first.
    """
    others = open_elsewhere()
    while others & open_elsewhere():
        time.sleep(0.02)
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    for _ in range(200):
        roll_up()
        if LedgerPosition.objects.get().settled_to >= newest:
            return
        time.sleep(0.02)
    raise AssertionError("never settled")


def open_elsewhere():
    """Return the transactions of other connections that have written something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else it stays the same for all of our transaction
        cursor.execute(
            "SELECT backend_xid::text FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return {xid for (xid,) in cursor.fetchall()}


def message_of(sender, **fields):
    content = Content.objects.create(
        account=sender.account,
        sender=sender,
        stream=sender.stream,
        address_type=AddressType.RANDOM,
        kind=Content.Kind.COMPOSED,
    )
    return Message.objects.create(
        account=sender.account, content=content, recipient="reader@readers.example", day=DAY, **fields
    )


def test_counts_what_readers_did_for_the_day_of_their_message():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY, n=3)
    for was, status, n in [
        ("unread", "opened", 1),
        ("opened", "opened", 1),
        ("opened", "opened", 0),  # a machine
        ("unread", "clicked", 1),
        ("unread", "clicked", 1),
        ("clicked", "clicked", 1),
    ]:
        EventFactory(sender=sender, day=DAY, was=was, status=status, n=n)

    settle()
    EventFactory(sender=sender, day=DAY, was="unread", status="opened")
    settle()
    roll_up()

    assert figures() == [(DAY, 3, 0, 0, 0)]
    row = DailyFigure.objects.get()
    assert (row.opens, row.unique_opens, row.clicks, row.unique_clicks) == (3, 2, 3, 2)


def test_counts_what_came_of_the_messages_of_a_day():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY, n=100)
    EventFactory(sender=sender, day=DAY, n=7, status=Status.SUPPRESSED)
    for status, n in [("delivered", 50), ("bounced", 6), ("failed", 5), ("canceled", 4), ("unknown", 3)]:
        EventFactory(sender=sender, day=DAY, n=n, was=Status.QUEUED, status=status)
    EventFactory(sender=sender, day=DAY, n=2, was=Status.QUEUED, status=Status.BOUNCED, invalid=True)
    EventFactory(sender=sender, day=DAY, n=9, was=Status.QUEUED, status=Status.DEFERRED)

    roll_up()

    # Failed: 6 bounced, 5 failed, 7 suppressed; neither the canceled nor those whose outcome is unknown.
    assert figures() == [(DAY, 107, 50, 18, 2)]


def test_keeps_accounts_senders_tags_and_days_apart():
    sender, other = SenderFactory(), SenderFactory()
    tag = TagFactory(account=sender.account)
    EventFactory(sender=sender, day=DAY, n=1)
    EventFactory(sender=sender, day=DAY, n=2, tag=tag)
    EventFactory(sender=sender, day=DAY + timedelta(1), n=3)
    EventFactory(sender=other, day=DAY, n=4)

    roll_up()

    found = DailyFigure.objects.values_list("account", "sender", "tag", "day", "total")
    assert set(found) == {
        (sender.account_id, sender.pk, None, DAY, 1),
        (sender.account_id, sender.pk, tag.pk, DAY, 2),
        (sender.account_id, sender.pk, None, DAY + timedelta(1), 3),
        (other.account_id, other.pk, None, DAY, 4),
    }


def test_late_bounce_corrects_the_day_of_its_message(now):
    message = message_of(SenderFactory())
    ledger.accept(message.content, {Status.QUEUED: 1}, batch_id=None, day=DAY, now=now)
    ledger.record([ledger.Outcome(message.pk, Status.DELIVERED, at=now)])
    roll_up()
    assert figures() == [(DAY, 1, 1, 0, 0)]

    ledger.record([ledger.Outcome(message.pk, Status.BOUNCED, at=now + timedelta(days=3), invalid=True)])
    roll_up()

    assert figures() == [(DAY, 1, 0, 0, 1)]


def test_unknown_outcome_that_is_settled_counts_once(now):
    message = message_of(SenderFactory())
    ledger.accept(message.content, {Status.QUEUED: 1}, batch_id=None, day=DAY, now=now)
    ledger.record([ledger.Outcome(message.pk, Status.UNKNOWN, at=now)])
    roll_up()
    assert figures() == [(DAY, 1, 0, 0, 0)]

    ledger.record([ledger.Outcome(message.pk, Status.DELIVERED, at=now)])
    roll_up()

    assert figures() == [(DAY, 1, 1, 0, 0)]


def test_second_roll_up_of_the_same_ledger_changes_nothing():
    EventFactory(day=DAY, n=5)

    roll_up()
    roll_up()

    assert figures() == [(DAY, 5, 0, 0, 0)]


def test_ledger_that_was_cut_before_the_first_roll_up_stops_nothing():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY, was=Status.DELIVERED, status=Status.BOUNCED, invalid=True)
    EventFactory(sender=sender, day=DAY + timedelta(1), n=2)

    roll_up()

    assert figures() == [(DAY, 0, 0, 0, 1), (DAY + timedelta(1), 2, 0, 0, 0)]


def test_events_of_accounts_that_are_gone_are_passed_over():
    EventFactory(day=DAY, account_id=10**9)
    EventFactory(day=DAY, sender_id=10**9)
    EventFactory(day=DAY, tag_id=10**9)
    EventFactory(day=DAY, n=3)

    roll_up()

    assert figures() == [(DAY, 3, 0, 0, 0)]


def test_task_rolls_up():
    EventFactory(day=DAY, n=3)

    tasks.roll_up()

    assert figures() == [(DAY, 3, 0, 0, 0)]


# ── Transactions of their own ───────────────────────────────────────────────────────────────────


class InAnotherConnection(Thread):
    """Run a function in a thread, hence over a connection of its own."""

    def __init__(self, deed):
        super().__init__()
        self.deed = deed
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self.deed()
        finally:
            connection.close()

    def outcome(self):
        self.join(30)
        assert not self.is_alive()
        return self.result


@pytest.mark.django_db(transaction=True)
def test_event_committed_after_younger_ones_is_counted_however_many_roll_ups_lie_between():
    sender = SenderFactory()
    late_day = DAY + timedelta(days=7)

    with transaction.atomic():
        late = EventFactory(sender=sender, day=late_day, n=3)
        for n in range(1, 5):
            younger = InAnotherConnection(lambda n=n: EventFactory(sender=sender, day=DAY, n=n)).outcome()
            assert younger.pk > late.pk
            InAnotherConnection(roll_up).outcome()
        assert InAnotherConnection(figures).outcome() == [(DAY, 10, 0, 0, 0)]
    roll_up()

    assert figures() == [(DAY, 10, 0, 0, 0), (late_day, 3, 0, 0, 0)]


@pytest.mark.django_db(transaction=True)
def test_settled_events_are_not_counted_again():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY)
    newest = EventFactory(sender=sender, day=DAY + timedelta(1))

    settle()

    assert LedgerPosition.objects.get().settled_to == newest.pk
    assert roll_up() == 0


@pytest.mark.django_db(transaction=True)
def test_late_bounce_counts_when_the_events_before_it_are_gone():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY, n=5)
    EventFactory(sender=sender, day=DAY, n=5, was=Status.QUEUED, status=Status.DELIVERED)
    settle()

    Event.objects.all().delete()
    roll_up()
    assert figures() == [(DAY, 5, 5, 0, 0)]

    EventFactory(sender=sender, day=DAY, was=Status.DELIVERED, status=Status.BOUNCED)
    settle()
    assert figures() == [(DAY, 5, 4, 1, 0)]


@pytest.mark.django_db(transaction=True)
def test_roll_up_that_fails_leaves_figures_and_position_as_they_were():
    EventFactory(day=DAY, n=5)
    settle()
    EventFactory(day=DAY, n=7)
    before = LedgerPosition.objects.values().get()

    with transaction.atomic():
        roll_up()
        transaction.set_rollback(True)

    assert LedgerPosition.objects.values().get() == before
    assert figures() == [(DAY, 5, 0, 0, 0)]


@pytest.mark.django_db(transaction=True)
def test_database_restored_on_a_younger_server_goes_on():
    sender = SenderFactory()
    EventFactory(sender=sender, day=DAY, n=5)
    roll_up()

    LedgerPosition.objects.update(next_xid=2**60)
    EventFactory(sender=sender, day=DAY, n=2)
    settle()

    assert figures() == [(DAY, 7, 0, 0, 0)]
    assert LedgerPosition.objects.get().next_xid < 2**60


@pytest.mark.django_db(transaction=True)
def test_second_roll_up_leaves_the_work_to_the_first():
    roll_up()
    EventFactory(day=DAY, n=5)

    with transaction.atomic():
        assert roll_up() == 1
        assert InAnotherConnection(roll_up).outcome() is None

    assert figures() == [(DAY, 5, 0, 0, 0)]


@pytest.mark.django_db(transaction=True)
def test_many_roll_ups_beside_writers_end_at_the_truth():
    sender = SenderFactory()

    def write():
        for _ in range(10):
            EventFactory(sender=sender, day=DAY, n=2)
            EventFactory(sender=sender, day=DAY, was=Status.QUEUED, status=Status.DELIVERED)

    def count():
        for _ in range(10):
            roll_up()

    threads = [InAnotherConnection(deed) for deed in (write, count, write, count, write)]
    for thread in threads:
        thread.outcome()
    roll_up()

    assert figures() == [(DAY, 60, 30, 0, 0)]


# ── Any ledger ──────────────────────────────────────────────────────────────────────────────────

FAILED = {Status.BOUNCED, Status.FAILED, Status.SUPPRESSED}


@st.composite
def histories(draw):
    """The moves of one message, as the table of moves allows them."""
    status = draw(st.sampled_from([Status.QUEUED, Status.SUPPRESSED]))
    moves = [("", status, False)]
    for _ in range(draw(st.integers(0, 5))):
        ways = sorted(target for target, sources in Message.SOURCES.items() if status in sources)
        if not ways:
            break
        target = draw(st.sampled_from(ways))
        moves.append((status, target, target == Status.BOUNCED and draw(st.booleans())))
        status = target
    return moves


def counted(history):
    """What one message adds to the figures of its day: a plain look at where it ended."""
    _was, status, invalid = history[-1]
    return (1, int(status == Status.DELIVERED), int(status in FAILED and not invalid), int(invalid))


@given(
    ledgers=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2), histories()), min_size=1, max_size=20
    ),
    cut=st.integers(0, 60),
    order=st.randoms(use_true_random=False),
)
@pytest.mark.django_db(transaction=True)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_figures_equal_a_plain_count_of_any_ledger(ledgers, cut, order):
    Event.objects.all().delete()
    DailyFigure.objects.all().delete()
    LedgerPosition.objects.all().delete()
    senders = SenderFactory.create_batch(2)
    tags = [None, *(TagFactory(account=sender.account) for sender in senders)]
    expected = Counter()
    events = []
    for day, sender_no, tag_no, history in ledgers:
        sender, tag = senders[sender_no], tags[tag_no]
        key = (sender.pk, tag and tag.pk, DAY + timedelta(days=day))
        for place, figure in enumerate(counted(history)):
            expected[(*key, place)] += figure
        events += [
            EventFactory.build(
                sender=sender,
                tag=tag,
                day=key[2],
                was=was,
                status=status,
                invalid=invalid,
                account_id=sender.account_id,
            )
            for was, status, invalid in history
        ]

    for part in (events[:cut], events[cut:]):
        order.shuffle(part)
        Event.objects.bulk_create(part)
        roll_up()
        roll_up()

    found = Counter()
    for row in DailyFigure.objects.all():
        for place, figure in enumerate((row.total, row.success, row.failed, row.invalid)):
            found[(row.sender_id, row.tag_id, row.day, place)] += figure
    assert +found == +expected

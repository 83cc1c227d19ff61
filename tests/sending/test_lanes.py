"""How lanes keep to what sites bear and ask for, over real SMTP on loopback."""

import asyncio
import threading
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.replies import Reply
from mailpush.sandbox.sink import Sink
from senders.models import Stream
from sending.delivery import courtesy, engine, hands, shaping
from sending.delivery.desk import Desk
from sending.delivery.lanes import Lane
from sending.delivery.sites import Limits
from sending.models import Chunk, Gate, Message, Provider, Status, Turn
from sending.models import Lane as LaneRow
from tests.mailpush.runtime.conftest import wait_until
from tests.sending.conftest import Internet, statuses

pytestmark = pytest.mark.django_db


class CountingSink(Sink):
    """Counts connections: all of them, and the most there were at once."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.visits = self.open = self.most = 0
        self.leaves_after = 0  # mails, then it says 421
        self.counts = {}

    async def connected(self, session):
        self.visits += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.counts[id(session)] = 0
        return await super().connected(session)

    async def data(self, session, content):
        await asyncio.sleep(0.01)
        return await super().data(session, content)

    async def mail(self, session, mail_from, params):
        if self.leaves_after and self.counts[id(session)] == self.leaves_after:
            return Reply(421, "4.7.0 Enough over one connection")
        self.counts[id(session)] += 1
        return await super().mail(session, mail_from, params)

    async def rcpt(self, session, rcpt_to, params):
        if rcpt_to.startswith("busy"):
            return Reply(450, "4.2.1 The user is receiving mail too quickly, please slow down")
        return await super().rcpt(session, rcpt_to, params)

    async def closed(self, session):
        self.open -= 1
        await super().closed(session)


class CountingInternet(Internet):
    def _make_sink(self):
        self.sink = CountingSink(self.mails.extend)
        return self.sink


@pytest.fixture
def counting(tmp_path, settings):
    with CountingInternet(tmp_path) as internet:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", internet.dns_port)]
        settings.MAILPUSH_MX_PORT = internet.smtp_port
        yield internet


def limit(**fields):
    """Change what every site bears."""
    Provider.objects.filter(name="").update(**fields)
    shaping.forget()


def test_no_more_connections_than_a_site_bears(counting, start_batch, deliver):
    limit(connections=3)

    batch = start_batch(*(f"reader{n}@north.example" for n in range(40)))
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert counting.sink.most == 2  # one is kept for triggered mail


def test_lane_waits_for_connections_that_another_process_has(internet, start_batch, deliver):
    limit(connections=1)
    batch = start_batch("ann@north.example")
    soon = timezone.now() + timedelta(seconds=1)
    Turn.objects.create(
        site="north.example", stream=Stream.BATCH, holder="another", connections=1, wanted=1, until=soon
    )

    deliver()

    assert statuses(batch) == {"ann@north.example": "delivered"}
    assert timezone.now() > soon


def test_no_more_mails_over_a_connection_than_a_site_takes(counting, start_batch, deliver):
    limit(connections=2, mails_per_connection=5)

    batch = start_batch(*(f"reader{n}@north.example" for n in range(20)))
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert counting.sink.visits == 4


def test_server_that_closes_after_some_mails_puts_off_nothing(counting, start_batch, deliver):
    counting.sink.leaves_after = 3

    batch = start_batch(*(f"reader{n}@north.example" for n in range(30)))
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert len(counting.mails) == 30
    assert LaneRow.objects.get(site="north.example").pace is None


def test_mails_a_minute_hold_and_the_rest_waits(internet, start_batch, deliver):
    limit(mails_per_minute=60)
    batch = start_batch(*(f"reader{n}@north.example" for n in range(6)))

    began = timezone.now()
    deliver()

    # Two seconds' worth may go at once; each of the others has waited for its second.
    assert set(statuses(batch).values()) == {"delivered"}
    assert timezone.now() - began >= timedelta(seconds=2)


def test_paced_lane_with_nothing_to_hand_out_takes_no_turn_of_others(now):
    lane = Lane("north.example", Limits(2, 100), window=4, rate=60, has_more=False, resumes_at=now)

    courtesy.provide("batch", lane, now=now)

    assert (lane.allowance, lane.resumes_at) == (0, None)  # and it is not asked again and again
    assert not Gate.objects.exists()
    lane.has_more = True
    courtesy.provide("batch", lane, now=now)
    assert lane.allowance == 3
    assert Gate.objects.exists()


def test_site_that_asks_to_slow_down_gets_fewer_and_the_message_again(counting, start_batch, deliver):
    batch = start_batch("busy@south.example", "ann@north.example")

    deliver()

    assert statuses(batch) == {"busy@south.example": "deferred", "ann@north.example": "delivered"}
    paces = {lane.site: lane.pace for lane in LaneRow.objects.exclude(site="")}
    assert paces["south.example"] is not None
    assert paces["north.example"] is None


def test_what_a_suspended_lane_still_holds_waits_for_its_end(internet, start_batch, deliver):
    internet.world.publish("dead.example", "MX", "10 mx.dead.example.")
    internet.world.publish("mx.dead.example", "A", "127.0.0.2")  # nobody listens there
    limit(connections=2)
    batch = start_batch(*(f"reader{n}@dead.example" for n in range(30)))

    deliver()

    untried = set(Message.objects.filter(batch=batch, status=Status.QUEUED).values_list("pk", flat=True))
    lane = LaneRow.objects.get(site="dead.example")
    (waiting,) = [chunk for chunk in batch.chunks.all() if untried & set(chunk.messages)]
    assert 0 < len(untried) < 30
    assert (set(waiting.messages), waiting.due_at) == (untried, lane.suspended_until)
    assert (waiting.in_flight, waiting.leased_until) == ([], None)


def test_lanes_that_were_given_up_are_worked_again(internet, start_batch, deliver, monkeypatch):
    batch = start_batch("ann@north.example")
    load = hands.Loader.load

    def fails_once(loader, taken):
        monkeypatch.setattr(hands.Loader, "load", load)
        raise RuntimeError("a bug")

    monkeypatch.setattr(hands.Loader, "load", fails_once)
    with pytest.raises(RuntimeError):
        deliver()
    # The lease runs out; nobody knows then what has left.
    Chunk.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    deliver.stop()
    deliver()

    assert statuses(batch) == {"ann@north.example": "unknown"}


@pytest.mark.django_db(transaction=True)
def test_worker_finds_what_nobody_woke_it_for(internet, start_batch, deliver):
    """In a lane that it has, and in one that another process was sent to."""
    start_batch("ann@north.example", "ann@south.example")
    deliver()
    desk = Desk(Stream.BATCH, engine.terms(Stream.BATCH))
    working = threading.Thread(target=desk.run)
    working.start()
    try:
        desk.enlist(["north.example"])
        wait_until(lambda: [lane for lane in desk._lanes.values() if lane.idle_since])
        batch = start_batch("bob@north.example", "bob@south.example")
        wait_until(lambda: set(statuses(batch).values()) == {"delivered"}, lambda: statuses(batch))
    finally:
        desk.begin_to_stop()
        working.join()


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=30), st.integers(1, 20))
def test_window_stays_between_what_connections_need_and_what_there_is(hands_of, connections):
    lane = Lane("north.example", Limits(connections, 100))

    for settled, deferred in hands_of:
        lane.fit(settled, deferred, most=400)

        assert connections <= lane.window <= max(400, connections)


def test_window_grows_while_mails_settle_and_shrinks_while_they_are_put_off():
    lane = Lane("north.example", Limits(10, 100))
    lane.fit(0, 0, most=400)
    for _ in range(6):
        lane.fit(lane.window, 0, most=400)
    grown = lane.window
    for _ in range(6):
        lane.fit(0, lane.window, most=400)

    assert (grown, lane.window) == (400, 10)


def test_window_is_no_wider_than_what_comes_back_has_use_for():
    lane = Lane("north.example", Limits(4, 100))
    lane.window = 400
    for _ in range(10):
        lane.fit(0, 0, most=400)  # hands with news of other lanes alone
    unmoved = lane.window
    for _ in range(10):
        lane.fit(10, 0, most=400)

    assert (unmoved, lane.window) == (400, 50)

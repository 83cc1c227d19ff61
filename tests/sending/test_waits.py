"""Why mail waits and until when: of one message, of a batch by destination, of the operators' lanes."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from senders.models import Stream
from sending import reports
from sending.delivery import permits, providers, shaping
from sending.models import Batch, Chunk, Destination, Gate, Lane, Provider, ReplyRule, Status
from tests.factories import BatchFactory, ContentFactory, MessageFactory, SenderFactory

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
QQ_REASON = "QQ Mail counts mails by sender, IP address and connection; four connections of eight mails are borne."
SPENT = "QQ Mail has had enough mails from our IP address for now."


@pytest.fixture(autouse=True)
def _shipped():
    providers.ship(Provider, ReplyRule)


@pytest.fixture
def batch(account):
    return BatchFactory(content=ContentFactory(sender=SenderFactory(account=account, domain__account=account)), total=9)


@pytest.fixture
def message(batch, now):
    Destination.objects.create(domain="qq.com", site="qq", expires_at=now + timedelta(hours=1))
    return MessageFactory(batch=batch, recipient="10001@qq.com")


def lane(**fields):
    return Lane.objects.create(stream=Stream.BATCH, site="qq", **fields)


class TestMessage:
    @pytest.mark.parametrize("words", [SPENT, "550 Ip frequency limited <other@strangers.test>"])
    def test_lane_is_suspended_by_a_rule(self, message, now, words):
        lane(suspended_until=now + MINUTE, reason=words)

        assert reports.wait_of(message, now=now) == reports.Wait(
            f"Nothing goes to QQ Mail at the moment. {SPENT}", now + MINUTE
        )

    def test_suspension_and_next_try_the_later_counts(self, message, now):
        lane(suspended_until=now + MINUTE, reason=SPENT)
        message.status, message.next_attempt_at = Status.DEFERRED, now + 5 * MINUTE

        assert reports.wait_of(message, now=now).until == now + 5 * MINUTE

    def test_next_try_after_the_servers_words(self, message, now):
        message.status, message.next_attempt_at = Status.DEFERRED, now + 5 * MINUTE
        message.last_reply = "450 4.2.0\nGreylisted"

        wait = reports.wait_of(message, now=now)

        assert wait == reports.Wait(
            "The receiving server did not take it yet: “450 4.2.0 Greylisted”. It is tried again by itself.",
            now + 5 * MINUTE,
        )

    def test_lane_is_slowed_down(self, message, now):
        lane(pace=60, connections=1, paced_since=now, paced_until=now + 5 * MINUTE, pace_reason=SPENT)

        assert reports.wait_of(message, now=now) == reports.Wait(
            f"For now QQ Mail gets no more than 60 mails a minute (connections: 1). {SPENT}",
            eases_at=now + 5 * MINUTE,
        )

    def test_words_of_others_mail_are_not_told(self, message, now):
        lane(pace=60, connections=1, paced_since=now, paced_until=now + MINUTE, pace_reason="421 <a@strangers.test>")

        assert "strangers" not in reports.wait_of(message, now=now).reason

    def test_pace_that_has_recovered_holds_nothing_up(self, message, now):
        long_ago = now - timedelta(hours=5)
        lane(pace=60, connections=1, paced_since=long_ago, paced_until=long_ago, pace_reason=SPENT)

        assert reports.wait_of(message, now=now).reason.startswith("It is in the queue")

    def test_providers_own_limit(self, message, now):
        Provider.objects.filter(name="qq").update(mails_per_minute=600)
        shaping.forget()
        Gate.objects.create(site="qq", next_free_at=now + timedelta(seconds=1))

        assert reports.wait_of(message, now=now).reason == f"QQ Mail gets no more than 600 mails a minute. {QQ_REASON}"

    def test_all_connections_are_taken(self, message, now):
        permits.grant(Stream.BATCH, "a worker", {"qq": permits.Wish(50, 4)}, now)

        assert reports.wait_of(message, now=now).reason == (
            f"All connections that QQ Mail bears at the same time (4) are in use. {QQ_REASON}"
        )
        assert reports.wait_of(message, now=now + MINUTE).reason.startswith("It is in the queue")

    def test_triggered_mail_does_not_wait_for_what_batch_mail_may_have(self, message, now):
        permits.grant(Stream.BATCH, "a worker", {"qq": permits.Wish(50, 4)}, now)
        message.content.stream = Stream.TRIGGER

        assert reports.wait_of(message, now=now).reason.startswith("It is in the queue")

    def test_page_tells_it(self, owner_client, message):
        now = timezone.now()
        lane(pace=60, connections=1, paced_since=now, paced_until=now + 5 * MINUTE, pace_reason=SPENT)

        page = owner_client.get(reverse("sending:message", args=[message.pk])).content.decode()

        assert SPENT in page
        assert "Faster again from:" in page


class TestBatch:
    @pytest.fixture
    def chunk(self, batch, now):
        def chunk(site, number, *, due=now, in_flight=()):
            return Chunk.objects.create(
                stream=Stream.BATCH,
                site=site,
                batch=batch,
                messages=list(range(number)),
                in_flight=list(in_flight),
                due_at=due,
            )

        return chunk

    def waits(self, batch, now, most=20):
        found, more = reports.waits_of(batch, now=now, most=most)
        return [
            (each.title, each.messages, each.wait.reason.partition(".")[0], each.wait.until) for each in found
        ], more

    def test_by_destination_with_reason_and_moment(self, batch, chunk, now):
        lane(suspended_until=now + MINUTE, reason=SPENT)
        chunk("qq", 3, due=now + MINUTE)
        chunk("qq", 1, in_flight=[7, 8])
        chunk("later.test", 2, due=now + 2 * MINUTE)
        chunk("later.test", 2, due=now + 3 * MINUTE)
        chunk("next.test", 3)
        chunk("", 2)
        chunk("empty.test", 0)
        Chunk.objects.create(stream=Stream.BATCH, site="stranger.test", messages=[1], due_at=now)

        assert self.waits(batch, now) == (
            [
                ("QQ Mail", 6, "Nothing goes to QQ Mail at the moment", now + MINUTE),
                ("later.test", 4, "The receiving servers did not take them yet", now + 2 * MINUTE),
                ("next.test", 3, "It is in the queue and leaves as soon as its turn comes", None),
                ("Not looked up yet", 2, "The mail servers of the recipient's domain are being looked up", None),
            ],
            0,
        )

    def test_fullest_first_and_how_many_more(self, batch, chunk, now):
        for number in (1, 3, 2):
            chunk(f"{number}.test", number)

        found, more = self.waits(batch, now, most=2)

        assert [title for title, *_ in found] == ["3.test", "2.test"]
        assert more == 1

    def test_dns_that_does_not_answer(self, batch, chunk, now):
        chunk("", 1, due=now + MINUTE)

        assert self.waits(batch, now)[0] == [("Not looked up yet", 1, "DNS did not say where they go", now + MINUTE)]

    def test_paused(self, batch, chunk, now):
        lane(suspended_until=now + MINUTE, reason=SPENT)
        chunk("qq", 1)
        batch.status = Batch.Status.PAUSED

        assert self.waits(batch, now)[0] == [("QQ Mail", 1, "The batch is paused", None)]

    def test_nothing_waits(self, batch, chunk, now):
        chunk("qq", 1)
        batch.status = Batch.Status.CANCELED

        assert self.waits(batch, now) == ([], 0)

    def test_queries_do_not_grow_and_leave_messages_alone(self, batch, chunk, now, django_assert_num_queries):
        for number in range(5):
            chunk(f"{number}.test", 1)
        shaping.current(now)

        with django_assert_num_queries(4) as queries:
            self.waits(batch, now)

        assert not any("sending_message" in query["sql"] for query in queries.captured_queries)

    def test_page_and_its_refresh(self, owner_client, batch, chunk):
        lane(suspended_until=timezone.now() + MINUTE, reason=SPENT)
        chunk("qq", 1234)

        for name in ("batch", "batch-waiting"):
            page = owner_client.get(reverse(f"sending:{name}", args=[batch.pk])).content.decode()

            assert "Waiting by destination" in page
            assert "1,234" in page
            assert SPENT in page

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from senders.models import Stream
from sending.delivery import permits
from sending.models import Gate, Turn

BATCH, TRIGGER = Stream.BATCH, Stream.TRIGGER
SECOND = timedelta(seconds=1)


def grant(stream, site, holder, wanted, limit, now):
    return permits.grant(stream, holder, {site: permits.Wish(wanted, limit)}, now)[site]


@pytest.mark.django_db
class TestTake:
    def test_without_a_limit_all_go(self, now, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert permits.take(BATCH, "mx.test", 500, None, now) == (500, None)

    def test_some_seconds_go_at_once_and_the_rest_at_the_pace(self, now):
        granted, until = permits.take(BATCH, "mx.test", 500, 60, now)

        assert (granted, until) == (3, now + SECOND)
        assert permits.take(BATCH, "mx.test", 500, 60, now) == (0, now + SECOND)
        assert permits.take(BATCH, "mx.test", 1, 60, now + SECOND) == (1, None)

    def test_at_the_lowest_pace_one_goes_at_a_time(self, now):
        assert permits.take(BATCH, "mx.test", 5, 6, now) == (1, now + 8 * SECOND)
        assert permits.take(BATCH, "mx.test", 5, 6, now + 8 * SECOND) == (1, now + 18 * SECOND)

    def test_what_was_not_used_long_ago_is_not_saved_up(self, now):
        permits.take(BATCH, "mx.test", 1, 60, now)

        assert permits.take(BATCH, "mx.test", 500, 60, now + timedelta(hours=1))[0] == 3

    def test_sites_do_not_share(self, now):
        permits.take(BATCH, "mx.test", 500, 60, now)

        assert permits.take(BATCH, "other.test", 500, 60, now)[0] == 3

    def test_streams_share_the_pace_and_codes_go_first(self, now):
        sent = {BATCH: 0, TRIGGER: 0}
        for second in range(600):
            moment = now + second * SECOND
            sent[BATCH] += permits.take(BATCH, "mx.test", 100, 120, moment)[0]
            if second >= 300:
                sent[TRIGGER] += permits.take(TRIGGER, "mx.test", 2, 120, moment)[0]

        assert sum(sent.values()) <= 120 * 10 + 120 * 12 / 60 + 1
        assert sent[TRIGGER] >= 595  # of 600 wanted in the second half, at the whole pace
        assert 595 <= sent[BATCH] <= 610

    def test_wanting_nothing(self, now):
        assert permits.take(BATCH, "mx.test", 0, 60, now) == (0, None)


@pytest.mark.django_db
class TestGrant:
    def test_batch_leaves_a_reserve(self, now):
        assert grant(BATCH, "mx.test", "a", 50, 10, now) == 8
        assert grant(TRIGGER, "mx.test", "a", 50, 10, now) == 2

    def test_one_connection_has_no_reserve(self, now):
        assert grant(BATCH, "mx.test", "a", 50, 1, now) == 1
        assert grant(TRIGGER, "mx.test", "a", 50, 1, now) == 0

    def test_triggered_mail_may_have_all_and_batch_waits(self, now):
        assert grant(TRIGGER, "mx.test", "a", 50, 10, now) == 10
        assert grant(BATCH, "mx.test", "a", 50, 10, now) == 0

    def test_who_comes_later_gets_a_fair_share_at_the_next_question(self, now):
        first = [grant(BATCH, "mx.test", holder, 50, 10, now) for holder in "ab"]
        second = [grant(BATCH, "mx.test", holder, 50, 10, now) for holder in "ab"]

        assert (first, second) == ([8, 0], [4, 4])

    def test_what_others_do_not_want_is_nobodys_loss(self, now):
        for holder, wanted in (("a", 50), ("b", 1), ("a", 50), ("b", 1)):
            grant(BATCH, "mx.test", holder, wanted, 10, now)

        assert dict(Turn.objects.values_list("holder", "connections")) == {"a": 7, "b": 1}

    def test_lower_limit_is_kept_at_the_next_question(self, now):
        grant(BATCH, "mx.test", "a", 50, 10, now)

        assert grant(BATCH, "mx.test", "a", 50, 2, now) == 1

    def test_dead_workers_do_not_count(self, now):
        grant(BATCH, "mx.test", "dead", 50, 10, now)
        grant(BATCH, "mx.test", "living", 50, 10, now)
        later = now + permits.TURN_LASTS
        assert permits.renew("living", later) == 1

        assert grant(BATCH, "mx.test", "living", 50, 10, later + SECOND) == 8
        assert permits.renew("dead", later + SECOND) == 0

    def test_released_turns_are_free(self, now):
        grant(BATCH, "mx.test", "a", 50, 10, now)
        grant(BATCH, "other.test", "a", 50, 10, now)

        permits.release(BATCH, "mx.test", "a")

        assert grant(BATCH, "mx.test", "b", 50, 10, now) == 8
        assert permits.open_connections(["mx.test", "other.test"], now=now) == {
            (BATCH, "mx.test"): 8,
            (BATCH, "other.test"): 8,
        }

    def test_many_sites_in_one_question(self, now, django_assert_num_queries):
        grant(BATCH, "3.test", "b", 50, 10, now)
        wishes = {f"{number}.test": permits.Wish(50, 10) for number in range(6)}
        permits.grant(BATCH, "a", wishes, now)

        with django_assert_num_queries(6):  # its savepoint's two among them
            granted = permits.grant(BATCH, "a", wishes, now)

        assert granted == {site: 0 if site == "3.test" else 8 for site in wishes}
        assert grant(BATCH, "3.test", "b", 50, 10, now) == 4


@pytest.mark.django_db(transaction=True)
class TestConcurrently:
    """Threads with connections of their own, as workers have."""

    def together(self, work, n=8):
        start = threading.Barrier(n)

        def one(number):
            start.wait(10)
            try:
                return work(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(one, range(n)))

    def test_mails_are_never_granted_twice(self, now):
        found = self.together(lambda _: sum(permits.take(BATCH, "mx.test", 10, 600, now)[0] for _ in range(20)))

        assert sum(found) == 21  # two seconds ahead of the pace, and the one whose turn it is
        assert Gate.objects.get().next_free_at == now + timedelta(seconds=2.1)

    def test_connections_never_exceed_the_limit(self, now):
        limit = 10

        def work(number):
            stream = TRIGGER if number % 4 == 0 else BATCH
            for round_ in range(15):
                granted = grant(stream, "mx.test", str(number), 1 + (number + round_) % 6, limit, now)
                held = dict(permits.open_connections(["mx.test"], now=now))
                assert sum(held.values()) <= limit
                assert held.get((BATCH, "mx.test"), 0) <= permits.most_of(BATCH, limit) == 8
                if granted and round_ % 3 == 2:
                    permits.release(stream, "mx.test", str(number))
            return True

        assert self.together(work) == [True] * 8

    def test_sites_in_any_order(self, now):
        sites = [f"{number}.test" for number in range(20)]

        def work(number):
            for round_ in range(10):
                some = sites[number + round_ :] + sites[: number + round_]
                permits.grant(BATCH, str(number), {site: permits.Wish(3, 10) for site in reversed(some)}, now)
            return number

        assert self.together(work) == list(range(8))
        assert max(permits.open_connections(now=now).values()) <= 8

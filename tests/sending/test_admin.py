from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from senders.models import Stream
from sending import tasks
from sending.models import Batch, Chunk, Lane, Returned
from tests.factories import BatchFactory, MessageFactory, UserFactory
from tests.sending.returning import came

QUEUES = reverse("admin:sending_chunk_changelist")
BATCHES = reverse("admin:sending_batch_changelist")
MESSAGES = reverse("admin:sending_message_changelist")
RETURNED = reverse("admin:sending_returned_changelist")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sandbox(settings):
    """Local staff of the sandbox need no second factor."""
    settings.MAILPUSH_DELIVERY = "sandbox"


@pytest.fixture
def operator():
    return UserFactory(email="ops@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def desk(client, operator):
    client.defaults["HTTP_HOST"] = "localhost"
    client.force_login(operator)
    return client


@pytest.fixture
def onlooker(desk):
    """Staff with the right to look."""
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="sending", codename__startswith="view"))
    desk.force_login(user)
    return desk


class TestQueues:
    @pytest.fixture
    def until(self):
        return timezone.now() + timedelta(minutes=1)

    def resume(self, desk, *, stream=Stream.BATCH, site="mx.test"):
        return desk.post(QUEUES, {"stream": stream, "site": site}, follow=True).content.decode()

    def test_shows_lanes_with_what_waits(self, desk, until):
        due = timezone.now() - timedelta(hours=1)
        Chunk.objects.create(stream=Stream.BATCH, site="mx.test", messages=[1, 2], in_flight=[3], due_at=due)
        Chunk.objects.create(stream=Stream.BATCH, site="mx.test", messages=[4], due_at=until)
        Chunk.objects.create(stream=Stream.TRIGGER, messages=[], in_flight=[5], due_at=until)
        Lane.objects.create(stream=Stream.BATCH, site="mx.test", suspended_until=until, reason="421 slow down")
        Lane.objects.create(stream=Stream.TRIGGER, site="dead.test", suspended_until=until, reason="refused")
        Lane.objects.create(stream=Stream.TRIGGER, site="quiet.test")

        page = desk.get(QUEUES)

        shown = [
            (queue.stream, queue.site, queue.chunks, queue.messages, queue.in_flight, queue.oldest_due, queue.reason)
            for queue in page.context["queues"]
        ]
        assert shown == [
            ("batch", "mx.test", 2, 4, 1, due, "421 slow down"),
            ("trigger", "", 1, 1, 1, until, ""),
            ("trigger", "dead.test", 0, 0, 0, None, "refused"),
        ]

    def test_says_that_nothing_waits(self, desk):
        assert "Nothing waits" in desk.get(QUEUES).content.decode()

    def test_resume_makes_due_what_the_suspension_put_off(self, desk, operator, until):
        retry = until + timedelta(minutes=7)
        put_off, retried, elsewhere = (
            Chunk.objects.create(stream=Stream.BATCH, site=site, messages=[1], due_at=due)
            for site, due in [("mx.test", until), ("mx.test", retry), ("other.test", until)]
        )
        Lane.objects.create(stream=Stream.BATCH, site="mx.test", suspended_until=until, reason="421 slow down")

        assert "The lane is worked again." in self.resume(desk)

        lane = Lane.objects.get(stream=Stream.BATCH, site="mx.test")
        assert (lane.suspended_until, lane.reason) == (None, "")
        assert Chunk.objects.get(pk=put_off.pk).due_at <= timezone.now()
        assert [Chunk.objects.get(pk=chunk.pk).due_at for chunk in (retried, elsewhere)] == [retry, until]
        entry = AuditEntry.objects.get()
        assert (entry.account, entry.actor, entry.action) == (None, f"operator {operator.email}", "lane.resumed")

    def test_resume_of_what_is_not_suspended(self, desk):
        assert "not suspended any more" in self.resume(desk)
        assert not AuditEntry.objects.exists()

    def test_onlooker_may_not_resume(self, onlooker, until):
        Lane.objects.create(stream=Stream.BATCH, site="mx.test", suspended_until=until)

        assert "Resume now" not in onlooker.get(QUEUES).content.decode()
        assert onlooker.post(QUEUES, {"stream": "batch", "site": "mx.test"}).status_code == 403

    def test_staff_without_the_right_see_nothing(self, desk):
        desk.force_login(UserFactory(is_staff=True))

        assert desk.get(QUEUES).status_code == 403


class TestBatches:
    def act(self, desk, action, *batches):
        answer = desk.post(
            BATCHES, {"action": action, "_selected_action": [batch.pk for batch in batches]}, follow=True
        )
        return answer.content.decode()

    def test_actions_are_the_operators_in_the_accounts_audit_log(self, desk):
        first, second = BatchFactory(), BatchFactory()

        assert "2 batches are changed." in self.act(desk, "pause", first, second)

        entries = AuditEntry.objects.values_list("account", "actor", "action", "ip")
        assert set(entries) == {
            (batch.account_id, "operator ops@example.com", "batch.paused", "127.0.0.1") for batch in (first, second)
        }

    @pytest.mark.parametrize(
        ("action", "before", "after"),
        [("pause", "sending", "paused"), ("resume", "paused", "sending"), ("cancel", "paused", "canceled")],
    )
    def test_actions(self, desk, action, before, after):
        batch = BatchFactory(status=before, total=1)

        self.act(desk, action, batch)

        assert Batch.objects.get().status == after

    def test_what_is_over_is_told(self, desk):
        batch = BatchFactory(status=Batch.Status.DONE)

        text = self.act(desk, "cancel", batch)

        assert "by now" in text
        assert "0 batches are changed." in text

    def test_onlooker_may_not_act(self, onlooker):
        batch = BatchFactory()

        self.act(onlooker, "cancel", batch)

        batch.refresh_from_db()
        assert batch.status == Batch.Status.SENDING

    def test_is_read_only(self, desk):
        batch = BatchFactory()

        page = desk.get(reverse("admin:sending_batch_change", args=[batch.pk]))

        assert page.status_code == 200
        assert 'name="_save"' not in page.content.decode()
        assert desk.get(reverse("admin:sending_batch_add")).status_code == 403
        assert desk.post(reverse("admin:sending_batch_delete", args=[batch.pk])).status_code == 403


class TestMessages:
    def found(self, desk, query):
        return [row.pk for row in desk.get(MESSAGES, {"q": query}).context["cl"].result_list]

    def test_search_by_id_or_beginning_of_the_address(self, desk):
        anna, bob = MessageFactory(recipient="Anna@readers.test"), MessageFactory(recipient="bob@readers.test")

        assert self.found(desk, str(bob.pk)) == [bob.pk]
        assert self.found(desk, "anna@") == [anna.pk]
        assert self.found(desk, "readers") == []
        assert self.found(desk, "") == [bob.pk, anna.pk]

    def test_counts_no_further_than_anybody_pages(self, desk, monkeypatch):
        monkeypatch.setattr("sending.admin.MOST_COUNTED", 2)
        MessageFactory.create_batch(3)

        assert desk.get(MESSAGES).context["cl"].result_count == 2

    def test_is_read_only(self, desk):
        message = MessageFactory(variables={"UserName": "Secret"})

        page = desk.get(reverse("admin:sending_message_change", args=[message.pk]))

        assert 'name="_save"' not in page.content.decode()
        assert "Secret" not in page.content.decode()
        assert desk.get(reverse("admin:sending_message_add")).status_code == 403

    @pytest.mark.parametrize("number", [1, 3])
    def test_number_of_queries(self, desk, django_assert_max_num_queries, number):
        MessageFactory.create_batch(number)
        desk.get(MESSAGES)  # the first visit is written down in the session

        with django_assert_max_num_queries(7):
            desk.get(MESSAGES)


class TestReturned:
    @pytest.fixture
    def row(self):
        return came(None, "spam-to-postmaster", read_at=timezone.now(), kind="other", rcpt_to="abuse@x.example")

    def test_is_found_and_shown_as_text(self, desk, row):
        mime = bytes(row.mime).replace(b"Send money", b"<script>alert(1)</script>")
        Returned.objects.update(mime=mime)

        assert str(row.pk) in desk.get(RETURNED, {"q": "ABUSE@x.example"}).content.decode()
        assert "0 returned mail" in desk.get(RETURNED, {"q": "other@x.example"}).content.decode()
        text = desk.get(reverse("admin:sending_returned_change", args=[row.pk])).content.decode()
        assert "&lt;script&gt;" in text
        assert "<script>alert(1)" not in text

    def test_says_in_words_why_it_came(self, desk, row):
        Returned.objects.update(kind="bounce", failure="no_mailbox")

        for page in (RETURNED, reverse("admin:sending_returned_change", args=[row.pk])):
            text = desk.get(page).content.decode()
            assert "No such mailbox" in text
            assert "no_mailbox" not in text

    def test_is_read_again_by_those_who_may_change_it(self, desk, onlooker, row, operator, monkeypatch):
        monkeypatch.setattr(tasks.read_returned, "delay", lambda: None)
        ask = {"action": "read_again", "_selected_action": [row.pk]}

        onlooker.post(RETURNED, ask)
        assert not Returned.objects.filter(read_at=None).exists()
        desk.force_login(operator)
        assert "1 mail is read again." in desk.post(RETURNED, ask, follow=True).content.decode()
        assert Returned.objects.filter(read_at=None).exists()

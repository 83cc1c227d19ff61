import csv
import io

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from sending.delivery import shaping
from sending.models import Batch, Chunk, Message, Status
from tests.factories import BatchFactory, ContentFactory, MessageFactory, SenderFactory

INDEX = reverse("sending:batches")
PAGES = ("batch", "batch-progress", "batch-waiting", "batch-export")
DEEDS = ("batch-pause", "batch-resume", "batch-cancel", "batch-send-unknown")

pytestmark = pytest.mark.django_db


@pytest.fixture
def content(account):
    return ContentFactory(sender=SenderFactory(account=account, domain__account=account))


@pytest.fixture
def batch(content):
    """Three messages: one delivered, one bounced, one waiting."""
    batch = BatchFactory(content=content, total=3, delivered=1, bounced=1)
    MessageFactory(batch=batch, recipient="anna@readers.test", status=Status.DELIVERED, finished_at=timezone.now())
    MessageFactory(batch=batch, recipient="Bob@readers.test", status=Status.BOUNCED, last_reply="550 no\nsuch user")
    MessageFactory(batch=batch, recipient="carl@readers.test")
    return batch


def url(name, batch, **query):
    return reverse(f"sending:{name}", args=[batch.pk], query=query)


def shown(page):
    return [row.recipient for row in page.context["slice"].rows]


class TestIndex:
    def test_first_time_says_what_to_do(self, owner_client):
        page = owner_client.get(INDEX)

        assert "Nothing sent yet" in page.content.decode()
        assert reverse("sending:batch-create") in page.content.decode()

    def test_has_the_columns_of_the_task_list(self, owner_client, content):
        BatchFactory(content=content, list_name="Readers", template_name="Autumn", total=12_345)

        text = owner_client.get(INDEX).content.decode()

        headings = ["List name", "Template name", "Address type", "Tag", "Status", "Request count", "Created"]
        places = [text.index(f">{heading}</th>") for heading in headings]
        assert places == sorted(places)
        for cell in ("Readers", "Autumn", "Random address", "Sending", "12,345"):
            assert cell in text

    def test_shows_twenty_of_ones_own(self, owner_client, content):
        BatchFactory()
        mine = BatchFactory.create_batch(21, content=content)

        first, second = owner_client.get(INDEX), owner_client.get(INDEX, {"page": 2})

        assert len(first.context["page"]) == 20
        assert list(second.context["page"]) == [mine[0]]

    def test_filters_by_status(self, owner_client, content):
        paused = BatchFactory(content=content, status=Batch.Status.PAUSED)
        BatchFactory(content=content)

        assert list(owner_client.get(INDEX, {"status": "paused"}).context["page"]) == [paused]
        assert "No send task has this status" in owner_client.get(INDEX, {"status": "done"}).content.decode()
        assert len(owner_client.get(INDEX, {"status": "nonsense"}).context["page"]) == 2

    @pytest.mark.parametrize(("status", "is_moving"), [("sending", True), ("done", False)])
    def test_refreshes_itself_while_something_moves(self, owner_client, content, status, is_moving):
        BatchFactory(content=content, status=status)

        assert ('hx-trigger="every 5s"' in owner_client.get(INDEX).content.decode()) == is_moving

    @pytest.mark.parametrize("number", [1, 3])
    def test_number_of_queries(self, owner_client, content, django_assert_max_num_queries, number):
        BatchFactory.create_batch(number, content=content)

        with django_assert_max_num_queries(5):
            owner_client.get(INDEX)

    def test_viewer_may_look_and_not_send(self, client_of, member):
        page = client_of(member(Role.VIEWER)).get(INDEX)

        assert reverse("sending:batch-create") not in page.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_strangers_batch_is_not_found(owner_client, name):
    assert owner_client.get(url(name, BatchFactory())).status_code == 404


@pytest.mark.parametrize("name", DEEDS)
def test_strangers_batch_cannot_be_changed(owner_client, name):
    theirs = BatchFactory(total=1, unknown=1)

    assert owner_client.post(url(name, theirs)).status_code == 404
    theirs.refresh_from_db()
    assert theirs.status == Batch.Status.SENDING


@pytest.mark.parametrize("name", DEEDS)
def test_viewer_may_not_change_a_batch(client_of, member, batch, name):
    assert client_of(member(Role.VIEWER)).post(url(name, batch)).status_code == 403


@pytest.mark.parametrize("name", DEEDS)
def test_a_look_changes_nothing(owner_client, batch, name):
    assert owner_client.get(url(name, batch)).status_code == 405


class TestDetail:
    def test_viewer_sees_it_without_its_buttons(self, client_of, member, batch):
        page = client_of(member(Role.VIEWER)).get(url("batch", batch))

        assert page.status_code == 200
        assert url("batch-pause", batch) not in page.content.decode()

    def test_counts_add_up(self, owner_client, batch):
        shares = owner_client.get(url("batch", batch)).context["shares"]

        counts = {share["status"]: share["count"] for share in shares if share["count"]}
        assert counts == {Status.DELIVERED: 1, Status.BOUNCED: 1, Status.QUEUED: 1}
        assert sum(share["count"] for share in shares) == batch.total

    @pytest.mark.parametrize(
        ("status", "buttons"),
        [
            ("scheduled", {"batch-cancel"}),
            ("preparing", {"batch-cancel"}),
            ("sending", {"batch-pause", "batch-cancel"}),
            ("paused", {"batch-resume", "batch-cancel"}),
            ("done", set()),
            ("canceled", set()),
        ],
    )
    def test_offers_what_is_possible(self, owner_client, content, status, buttons):
        batch = BatchFactory(content=content, status=status)

        text = owner_client.get(url("batch", batch)).content.decode()

        assert {name for name in DEEDS if url(name, batch) in text} == buttons

    def test_says_why_it_was_not_sent(self, owner_client, content):
        batch = BatchFactory(content=content, status=Batch.Status.CANCELED, problem="Its list was deleted.")

        assert "Its list was deleted." in owner_client.get(url("batch", batch)).content.decode()

    def test_text_of_customers_is_text(self, owner_client, content):
        batch = BatchFactory(content=content, list_name="<script>1</script>")

        assert "<script>1" not in owner_client.get(url("batch", batch)).content.decode()

    def test_filters_messages_by_status(self, owner_client, batch):
        assert shown(owner_client.get(url("batch", batch, status="bounced"))) == ["Bob@readers.test"]
        assert shown(owner_client.get(url("batch", batch, status="failed"))) == []
        assert len(shown(owner_client.get(url("batch", batch, status="nonsense")))) == 3

    @pytest.mark.parametrize("query", ["bob@", "BOB@readers.test"])
    def test_searches_messages_by_the_beginning_of_the_address(self, owner_client, content, batch, query):
        MessageFactory(batch=BatchFactory(content=content), recipient="bob@readers.test")

        assert shown(owner_client.get(url("batch", batch, q=query))) == ["Bob@readers.test"]

    @pytest.mark.parametrize("query", ["%", "_ob@", "a\0", "\\"])
    def test_search_has_no_wild_cards(self, owner_client, batch, query):
        expected = ["anna@readers.test"] if query == "a\0" else []

        assert shown(owner_client.get(url("batch", batch, q=query))) == expected

    @pytest.mark.parametrize("query", [{}, {"status": "queued"}, {"q": "reader"}])
    def test_pages_show_every_message_once(self, owner_client, content, query):
        batch = BatchFactory(content=content, total=45)
        MessageFactory.create_batch(45, batch=batch)
        address, seen = url("batch", batch, **query), []

        while address:
            page = owner_client.get(address)
            seen += shown(page)
            address = page.context["slice"].next_url and url("batch", batch) + page.context["slice"].next_url

        assert len(seen) == len(set(seen)) == 45

    @pytest.mark.parametrize("after", ["x", "-1", "9" * 40, "²"])
    def test_any_place_is_a_place(self, owner_client, batch, after):
        assert owner_client.get(url("batch", batch, after=after)).status_code == 200

    @pytest.mark.parametrize("number", [1, 3])
    def test_number_of_queries(self, owner_client, content, django_assert_max_num_queries, number):
        batch = BatchFactory(content=content, total=number)
        for message in MessageFactory.create_batch(number, batch=batch):
            site = f"mx{message.pk}.test"
            Chunk.objects.create(stream="batch", site=site, batch=batch, messages=[message.pk], due_at=timezone.now())
        shaping.current(timezone.now())  # read every half minute

        with django_assert_max_num_queries(9) as queries:
            owner_client.get(url("batch", batch))

        text = " ".join(query["sql"] for query in queries.captured_queries)
        assert "COUNT(" not in text
        assert "OFFSET" not in text


class TestProgress:
    def test_goes_on_until_the_batch_is_over(self, owner_client, batch):
        part = owner_client.get(url("batch-progress", batch, status="sending")).content.decode()
        assert 'hx-trigger="every 2s"' in part
        assert "<html" not in part

        Batch.objects.update(status=Batch.Status.CANCELED)
        ending = owner_client.get(url("batch-progress", batch, status="canceled")).content.decode()
        assert "hx-get" in ending

        Batch.objects.update(status=Batch.Status.DONE, delivered=2)
        over = owner_client.get(url("batch-progress", batch, status="done")).content.decode()
        assert "hx-get" not in over

    def test_new_status_loads_the_page_anew(self, owner_client, batch):
        answer = owner_client.get(url("batch-progress", batch, status="preparing"))

        assert (answer["HX-Refresh"], answer.content) == ("true", b"")


class TestDeeds:
    def test_pause_resume_cancel(self, owner_client, batch):
        for name, status in [
            ("batch-pause", Batch.Status.PAUSED),
            ("batch-resume", Batch.Status.SENDING),
            ("batch-cancel", Batch.Status.CANCELED),
        ]:
            assert owner_client.post(url(name, batch)).url == url("batch", batch)
            batch.refresh_from_db()
            assert batch.status == status

    def test_too_late_is_said(self, owner_client, content):
        batch = BatchFactory(content=content, status=Batch.Status.DONE)

        page = owner_client.post(url("batch-pause", batch), follow=True)

        assert "is “Sent” by now" in page.content.decode()

    def test_sends_the_unknown_ones_again(self, owner_client, content):
        batch = BatchFactory(content=content, status=Batch.Status.DONE, total=2, delivered=1, unknown=1)
        MessageFactory(batch=batch, status=Status.DELIVERED)
        unknown = MessageFactory(batch=batch, status=Status.UNKNOWN)
        page = owner_client.get(url("batch", batch)).content.decode()
        assert url("batch-send-unknown", batch) in page

        owner_client.post(url("batch-send-unknown", batch))

        assert Message.objects.get(status=Status.QUEUED) == unknown
        assert Chunk.objects.get().messages == [unknown.pk]


class TestExport:
    def read(self, answer):
        assert answer["Content-Disposition"].startswith("attachment")
        text = b"".join(answer.streaming_content).decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))

    def test_has_every_message(self, owner_client, batch):
        headings, *rows = self.read(owner_client.get(url("batch-export", batch)))

        assert headings[1:4] == ["Recipient", "Status", "Attempts"]
        assert [row[1:3] for row in rows] == [
            ["anna@readers.test", "delivered"],
            ["Bob@readers.test", "bounced"],
            ["carl@readers.test", "queued"],
        ]
        assert rows[1][-1] == "550 no such user"

    def test_of_one_status(self, owner_client, batch):
        _headings, *rows = self.read(owner_client.get(url("batch-export", batch, status="bounced")))

        assert [row[1] for row in rows] == ["Bob@readers.test"]

    def test_in_slices_misses_nobody(self, owner_client, content, monkeypatch):
        monkeypatch.setattr("sending.views.batches.EXPORTED_AT_ONCE", 2)
        batch = BatchFactory(content=content, total=5)
        made = MessageFactory.create_batch(5, batch=batch)

        _headings, *rows = self.read(owner_client.get(url("batch-export", batch)))

        assert [int(row[0]) for row in rows] == [message.pk for message in made]

    def test_has_no_formulas(self, owner_client, content):
        batch = BatchFactory(content=content, total=1)
        MessageFactory(batch=batch, recipient="=1+1@readers.test", last_reply="@SUM(A1)")

        _headings, row = self.read(owner_client.get(url("batch-export", batch)))

        assert (row[1], row[-1]) == ("'=1+1@readers.test", "'@SUM(A1)")

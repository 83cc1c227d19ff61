import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from recipients import suppression
from recipients.models import Suppression
from sending import returns, tasks
from sending.models import Returned, Status
from sending.services import returned
from tests.factories import (
    BatchFactory,
    ContentFactory,
    MessageFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
)
from tests.sending.returning import about, came

pytestmark = pytest.mark.django_db

INDEX = reverse("sending:returned")


@pytest.fixture
def message(account):
    content = ContentFactory(sender=SenderFactory(account=account, domain__account=account))
    batch = BatchFactory(content=content, total=1, delivered=1)
    return MessageFactory(batch=batch, recipient="anna@readers.example", status=Status.DELIVERED)


@pytest.fixture
def bounce(message):
    row = came(message, "postfix-unknown-user")
    returns.read_new(now=timezone.now())
    row.refresh_from_db()
    return row


def page(client, url, **query):
    return client.get(url, query).content.decode()


def detail(row):
    return reverse("sending:returned-mail", args=[row.pk])


class TestIndex:
    def test_nothing_has_come_back(self, owner_client):
        assert "Nothing has come back" in page(owner_client, INDEX)

    def test_shows_what_it_is_and_whose(self, owner_client, bounce, message):
        text = page(owner_client, INDEX)

        assert "anna@readers.example" in text
        assert "550 5.1.1" in text
        assert "No such mailbox" in text
        assert reverse("sending:message", args=[message.pk]) in text

    def test_finds_by_kind_and_recipient(self, owner_client, bounce):
        assert detail(bounce) in page(owner_client, INDEX, kind="bounce", q="ANNA@")
        assert "Nothing of that kind" in page(owner_client, INDEX, kind="complaint")
        assert "Nothing of that kind" in page(owner_client, INDEX, q="bob@")

    def test_asks_as_often_for_three_as_for_one(self, owner_client, message, django_assert_max_num_queries):
        for _ in range(2):
            came(message, "postfix-unknown-user")
            returns.read_new(now=timezone.now())
            with django_assert_max_num_queries(8):
                page(owner_client, INDEX)

    def test_another_accounts_are_not_there(self, owner_client, bounce):
        other = came(MessageFactory(), "postfix-unknown-user")
        returns.read_new(now=timezone.now())

        assert detail(other) not in page(owner_client, INDEX)
        for name in ("returned-mail", "returned-source"):
            assert owner_client.get(reverse(f"sending:{name}", args=[other.pk])).status_code == 404


class TestMail:
    def test_is_shown_as_text(self, owner_client, message):
        mail = about(message, "qmail").replace(b"Hi. This is", b"<script>alert(1)</script> Hi. This is")
        row = Returned.objects.create(
            account=message.account, message_id=message.pk, mime=mail, rcpt_to="b-x@x.example"
        )

        text = page(owner_client, detail(row))

        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert(1)" not in text

    def test_tells_what_it_did(self, owner_client, bounce):
        text = page(owner_client, detail(bounce))

        assert "It has moved its message" in text
        assert "Undelivered Mail Returned to Sender" in text
        assert "User unknown in local" in text

    def test_comes_as_a_file(self, owner_client, bounce):
        answer = owner_client.get(reverse("sending:returned-source", args=[bounce.pk]))

        assert answer.content == bytes(bounce.mime)
        assert answer["Content-Disposition"] == f'attachment; filename="returned-{bounce.pk}.eml"'
        assert answer["X-Content-Type-Options"] == "nosniff"

    def test_bytes_of_any_kind_are_shown(self, owner_client, message):
        row = Returned.objects.create(account=message.account, mime=b"\xff\x00\r\n" * 10, rcpt_to="a@b.example")

        assert owner_client.get(detail(row)).status_code == 200

    def test_viewers_may_read(self, member, client_of, bounce):
        assert client_of(member(Role.VIEWER)).get(detail(bounce)).status_code == 200


def test_page_of_the_message_tells_late_truth_and_links_the_evidence(owner_client, bounce, message):
    text = page(owner_client, reverse("sending:message", args=[message.pk]))

    assert "reported by mail, after it had been taken" in text
    assert detail(bounce) in text
    assert "Bounced" in text


def test_suppression_links_its_message_and_lists_mark_the_address(owner_client, account, bounce, message):
    readers = RecipientListFactory(account=account, count=2)
    RecipientFactory(list=readers, address="Anna@readers.example")
    RecipientFactory(list=readers, address="bob@readers.example")
    url = reverse("recipients:list", args=[readers.pk])

    assert reverse("sending:message", args=[message.pk]) in page(owner_client, reverse("recipients:suppressions"))
    text = page(owner_client, url)
    assert text.count(">invalid<") == 1
    only = page(owner_client, url, show="invalid")
    assert "Anna@readers.example" in only
    assert "bob@" not in only
    owner_client.post(reverse("recipients:recipients-delete-invalid", args=[readers.pk]))
    readers.refresh_from_db()
    assert list(readers.recipients.values_list("address", flat=True)) == ["bob@readers.example"]
    assert readers.count == 1


def test_marks_are_of_this_account_or_the_platform(account, stranger, now):
    for owner in (account, stranger.account, None):
        suppression.suppress("anna@x.com", account=owner, reason=Suppression.Reason.COMPLAINED, now=now)

    (marks,) = suppression.marks(account.pk, ["anna@x.com", "bob@x.com"]).values()
    assert [mark.account_id for mark in marks] == [account.pk, None]


def test_operators_have_mail_read_again(bounce, message, monkeypatch, django_capture_on_commit_callbacks):
    woken = []
    monkeypatch.setattr(tasks.read_returned, "delay", lambda: woken.append(1))

    with django_capture_on_commit_callbacks(execute=True):
        assert returned.read_again(Returned.objects.all()) == 1

    assert woken == [1]
    assert returns.read_new(now=timezone.now()) == 1
    bounce.refresh_from_db()
    assert bounce.kind == "bounce"

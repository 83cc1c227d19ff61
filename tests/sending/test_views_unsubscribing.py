import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from mailpush.lib import tokens
from recipients import suppression
from recipients.models import Suppression
from senders.models import Sender
from sending import unsubscribe
from sending.models import Content, Feedback
from sending.views.unsubscribing import masked
from tests.factories import AccountFactory, MessageFactory

ONE_CLICK = {"List-Unsubscribe": "One-Click"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def message():
    return MessageFactory(recipient="Anna@readers.test")


@pytest.fixture
def path(message):
    link = unsubscribe.link(message.pk, today=timezone.now().date())
    return link.removeprefix("http://localhost:8000")


@pytest.fixture
def mail_program():
    """No cookie, no login, and CSRF checks as in production."""
    return Client(enforce_csrf_checks=True)


SCOPES = [
    ("sender", "", "sender"),
    ("domain", "", "domain"),
    ("account", "", "account"),
    ("account", "sender", "sender"),
    ("sender", "domain", "domain"),
    ("sender", "none", "sender"),  # no link of ours in it, but whoever has one may
]


def feedback():
    return list(Feedback.objects.order_by("pk").values_list("message_id", "kind", "via"))


def suppressions():
    return list(Suppression.objects.values_list("account", "address", "reason", "scope"))


class TestOneClick:
    @pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
    def test_unsubscribes_at_once(self, mail_program, message, path, kind):
        if kind.startswith("multipart"):
            answer = mail_program.post(path, ONE_CLICK)
        else:
            answer = mail_program.post(path, "List-Unsubscribe=One-Click", content_type=kind)

        assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert not answer.cookies
        assert suppressions() == [(message.account_id, "anna@readers.test", "unsubscribed", "sender")]
        row = Suppression.objects.get()
        assert (row.source, row.message_id) == (f"message {message.pk}", message.pk)
        assert row.scope_value == message.content.sender.address
        assert feedback() == [(message.pk, "unsubscribed", "one-click")]

    def test_twice_is_once(self, mail_program, path):
        answers = [mail_program.post(path, ONE_CLICK).status_code for _ in range(2)]

        assert answers == [200, 200]
        assert len(suppressions()) == len(feedback()) == 1

    def test_in_any_letter_case(self, mail_program, path):
        """Mail programs on the way may change it."""
        folder, token = path.rsplit("/", 1)

        assert mail_program.post(f"{folder}/{token.upper()}", ONE_CLICK).status_code == 200

    def test_undo_in_it_is_not_heard(self, mail_program, path):
        mail_program.post(path, {**ONE_CLICK, "undo": "1"})

        assert len(suppressions()) == 1

    def test_keeps_what_was_noted_first(self, mail_program, message, path):
        Suppression.objects.create(account=message.account, address="anna@readers.test", reason="complained")

        assert mail_program.post(path, ONE_CLICK).status_code == 200
        assert sorted(row[2] for row in suppressions()) == ["complained", "unsubscribed"]

    @pytest.mark.parametrize(("of_sender", "of_order", "scope"), SCOPES)
    def test_reaches_as_far_as_the_order_or_the_sender_says(
        self, mail_program, message, path, of_sender, of_order, scope
    ):
        content = message.content
        Sender.objects.update(unsubscribe_scope=of_sender)
        Content.objects.update(unsubscribe_scope=of_order)

        mail_program.post(path, ONE_CLICK)

        values = {"sender": content.sender.address, "domain": content.sender.domain.name, "account": ""}
        row = Suppression.objects.get()
        assert (row.scope, row.scope_value) == (scope, values[scope])
        assert suppression.is_suppressed(
            "anna@readers.test",
            account_id=message.account_id,
            domain=content.sender.domain.name,
            sender=content.sender.address,
        )


class TestPage:
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_a_look_changes_nothing(self, client, path, method):
        answer = getattr(client, method)(path)

        assert answer.status_code == 200
        assert not answer.cookies
        assert not suppressions()

    def test_shows_no_whole_address(self, client, path, message):
        text = client.get(path).content.decode()

        assert "A•••a@readers.test" in text
        assert "Anna@" not in text
        assert message.content.sender.address in text

    def test_stands_alone(self, client, path):
        answer = client.get(path)

        assert b"navbar" not in answer.content
        assert (answer["Referrer-Policy"], answer["X-Robots-Tag"]) == ("no-referrer", "noindex")
        assert "no-store" in answer["Cache-Control"]

    def test_speaks_the_readers_language(self, client, path):
        answer = client.get(path, headers={"accept-language": "zh-CN,zh;q=0.9"})

        assert '<html lang="zh-hans"' in answer.content.decode()

    def test_button_unsubscribes_and_undo_takes_it_back(self, mail_program, message, path):
        assert "undo" not in mail_program.get(path).content.decode()

        assert mail_program.post(path).url == path
        page = mail_program.get(path).content.decode()
        assert "You are unsubscribed" in page
        assert 'name="undo"' in page

        mail_program.post(path, {"undo": "1"})
        assert not suppressions()
        assert [row[1:] for row in feedback()] == [("unsubscribed", "page"), ("resubscribed", "page")]
        entry = AuditEntry.objects.get(action="recipient.subscribed_again")
        assert (entry.account, entry.target, entry.ip) == (message.account, "Anna@readers.test", None)

    def test_undo_releases_nothing_else(self, mail_program, message, path):
        """Who has a link must not be able to lift what a bounce or a complaint has said."""
        other = AccountFactory()
        Suppression.objects.create(account=message.account, address="anna@readers.test", reason="bounced")
        Suppression.objects.create(account=other, address="anna@readers.test", reason="unsubscribed")

        page = mail_program.get(path).content.decode()
        mail_program.post(path, {"undo": "1"})

        assert "You are unsubscribed" in page
        assert 'name="undo"' not in page
        assert len(suppressions()) == 2


class TestBadLinks:
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_forged(self, mail_program, path, message, method):
        changed = "b" if path[-1] == "a" else "a"
        for bad in (path[:-5] + changed * 5, reverse("unsubscribe:page", args=["x"]), path + path[-1]):
            answer = getattr(mail_program, method)(bad)

            assert answer.status_code == 404
            assert "This link is not valid" in answer.content.decode()
        assert not suppressions()

    def test_for_another_purpose(self, mail_program, message):
        bounce = tokens.make("bounce", message.pk, today=timezone.now().date())

        assert mail_program.post(f"/u/{bounce}", ONE_CLICK).status_code == 404

    def test_of_a_message_that_is_gone(self, mail_program, message, path):
        message.delete()

        assert mail_program.get(path).status_code == 404

    def test_other_methods(self, mail_program, path):
        assert mail_program.delete(path).status_code == 405


@pytest.mark.parametrize(
    ("address", "shown"),
    [("anna@x.test", "a•••a@x.test"), ("bob@x.test", "b•••@x.test"), ("a@x.test", "a•••@x.test")],
)
def test_masked(address, shown):
    assert masked(address) == shown

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from senders.models import UnsubscribeScope
from senders.services import answers
from tests.factories import SenderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(account):
    return SenderFactory(
        account=account, domain__account=account, reply_to="help@readers.example", reply_to_verified_at=timezone.now()
    )


def test_replies_and_unsubscribes_are_set(sender, actor):
    answers.change(sender, forwards_replies=True, unsubscribe_scope="account", by=actor)

    sender.refresh_from_db()
    assert (sender.forwards_replies, sender.unsubscribe_scope) == (True, UnsubscribeScope.ACCOUNT)
    entry = AuditEntry.objects.get(action="sender.answers_changed")
    assert entry.details["before"] == {"forwards_replies": False, "unsubscribe_scope": "sender"}


def test_replies_need_a_confirmed_address_to_go_to(sender, actor):
    sender.reply_to_verified_at = None
    sender.save()

    with pytest.raises(answers.NoReplyAddress):
        answers.change(sender, forwards_replies=True, unsubscribe_scope="sender", by=actor)
    answers.change(sender, forwards_replies=False, unsubscribe_scope="sender", by=actor)


def test_unknown_scope_and_viewers_change_nothing(sender, actor, member):
    with pytest.raises(answers.UnknownScope):
        answers.change(sender, forwards_replies=False, unsubscribe_scope="all", by=actor)
    with pytest.raises(NotAllowed):
        answers.change(sender, forwards_replies=False, unsubscribe_scope="sender", by=Actor.member(member(Role.VIEWER)))


def test_page_has_the_switch_and_says_why_not(owner_client, sender):
    url = reverse("senders:answers-change", args=[sender.pk])

    owner_client.post(url, {"forwards_replies": "on", "unsubscribe_scope": "domain"})
    sender.refresh_from_db()
    assert (sender.forwards_replies, sender.unsubscribe_scope) == (True, "domain")

    sender.reply_to_verified_at = None
    sender.save()
    text = owner_client.post(url, {"forwards_replies": "on", "unsubscribe_scope": "domain"}).content.decode()
    assert "Set a reply address" in text


def test_page_of_a_viewer_tells_without_a_form(member, client_of, sender):
    client = client_of(member(Role.VIEWER))

    assert "are refused" in client.get(reverse("senders:detail", args=[sender.pk])).content.decode()
    assert client.post(reverse("senders:answers-change", args=[sender.pk])).status_code == 403


def test_strangers_sender_is_not_there(owner_client):
    other = SenderFactory()

    answer = owner_client.post(reverse("senders:answers-change", args=[other.pk]), {"unsubscribe_scope": "account"})

    assert answer.status_code == 404


def test_what_a_crash_leaves_unknown_is_the_senders_choice(owner_client, sender, member, client_of):
    url = reverse("senders:crash-change", args=[sender.pk])
    assert not sender.sends_unknown_again  # batch mail, unless one says otherwise

    owner_client.post(url, {"resends_unknown": "on"})
    sender.refresh_from_db()
    assert sender.sends_unknown_again
    assert AuditEntry.objects.get(action="sender.crash_policy_changed").details["before"] == {"resends_unknown": False}
    assert (
        "sent again" in client_of(member(Role.VIEWER)).get(reverse("senders:detail", args=[sender.pk])).content.decode()
    )
    assert client_of(member(Role.VIEWER)).post(url, {}).status_code == 403

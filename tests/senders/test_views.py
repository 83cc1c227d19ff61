import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Membership, Role
from senders.models import Sender, Tag
from senders.services import reply_addresses, senders
from tests.factories import DomainFactory, SenderFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "abcDEF1234"


@pytest.fixture
def sender(owner_client):
    return SenderFactory(account=owner_client.account)


def url(name, *args):
    return reverse(f"senders:{name}", args=args)


def test_empty_list_says_what_to_do(owner_client):
    assert "No sender addresses yet" in owner_client.get(url("index")).text


@pytest.mark.parametrize("count", [1, 3])
def test_list_shows_own_addresses(owner_client, count, django_assert_max_num_queries):
    for _ in range(count):
        own = SenderFactory(account=owner_client.account)
    stranger = SenderFactory()

    with django_assert_max_num_queries(9):
        answer = owner_client.get(url("index"))

    assert own.address in answer.text
    assert stranger.address not in answer.text


def test_list_is_searched(owner_client):
    SenderFactory(account=owner_client.account, address="shop@example.com")
    SenderFactory(account=owner_client.account, address="news@example.com")

    answer = owner_client.get(url("index"), query_params={"q": "NEWS"})

    assert "news@example.com" in answer.text
    assert "shop@example.com" not in answer.text


def test_new_sender(owner_client):
    domain = DomainFactory(account=owner_client.account)
    answers = {"domain": domain.pk, "account_part": "news", "stream": "batch", "reply_to": "help@example.org"}

    answer = owner_client.post(url("create"), answers, follow=True)

    made = Sender.objects.get()
    assert answer.redirect_chain == [(url("detail", made.pk), 302)]
    assert made.address == f"news@{domain.name}"
    assert "waits for confirmation" in answer.text


def test_new_sender_form_offers_own_verified_domains(owner_client):
    DomainFactory(account=owner_client.account, name="own.example.com")
    DomainFactory(account=owner_client.account, name="waiting.example.com", status="unverified")
    DomainFactory(name="strange.example.com")

    choices = owner_client.get(url("create")).context["form"].fields["domain"].choices

    assert [label for value, label in choices if value] == ["own.example.com"]


def test_new_sender_form_shows_the_refusal_at_the_field(owner_client):
    domain = DomainFactory(account=owner_client.account)

    answer = owner_client.post(url("create"), {"domain": domain.pk, "account_part": "a b", "stream": "batch"})

    assert answer.context["form"].errors["account_part"]
    assert not Sender.objects.exists()


def test_without_a_verified_domain_the_page_leads_to_domains(owner_client):
    assert "No verified domain yet" in owner_client.get(url("create")).text


def test_detail_shows_how_to_connect(owner_client, sender, settings):
    answer = owner_client.get(url("detail", sender.pk))

    assert sender.address in answer.text
    assert f"<code>{settings.MAILPUSH_SUBMISSION_BIND[0].port}</code>" in answer.text
    assert "no password" in answer.text


def test_password_is_set(owner_client, sender):
    answer = owner_client.post(url("password-set", sender.pk), {"password": PASSWORD}, follow=True)

    sender.refresh_from_db()
    assert "The SMTP password is set." in answer.text
    assert senders.check_smtp_password(sender, PASSWORD)


def test_weak_password_is_explained(owner_client, sender):
    answer = owner_client.post(url("password-set", sender.pk), {"password": "weak"})

    assert "It must have 10 to 20 characters." in answer.text
    assert answer.context["password_form"].errors["password"]


def test_generated_password_is_shown_once(owner_client, sender):
    answer = owner_client.post(url("password-generate", sender.pk))

    sender.refresh_from_db()
    password = answer.context["new_password"]
    assert senders.check_smtp_password(sender, password)
    assert password in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
    assert password not in owner_client.get(url("detail", sender.pk)).text


def test_domain_login_shows_the_domain_as_user(owner_client):
    domain = DomainFactory(account=owner_client.account, name="mail.example.com")
    sender = SenderFactory(
        account=owner_client.account, domain=domain, address=f"{Sender.DOMAIN_LOGIN}@mail.example.com"
    )

    page = owner_client.get(url("detail", sender.pk)).text

    assert "<code>mail.example.com</code>" in page
    assert "sends from any address at mail.example.com" in page
    assert Sender.DOMAIN_LOGIN in owner_client.get(url("create")).text


def test_smtp_is_closed(owner_client, sender):
    owner_client.post(url("password-generate", sender.pk))

    owner_client.post(url("smtp-close", sender.pk))

    sender.refresh_from_db()
    assert not sender.has_smtp


def test_reply_address_is_changed_and_asked_again(owner_client, sender):
    changed = owner_client.post(url("reply-change", sender.pk), {"reply_to": "help@example.org"}, follow=True)
    again = owner_client.post(url("reply-resend", sender.pk), follow=True)

    assert "We have mailed a link to help@example.org" in changed.text
    assert "less than a minute ago" in again.text


def test_bad_reply_address_is_explained(owner_client, sender):
    answer = owner_client.post(url("reply-change", sender.pk), {"reply_to": "help"})

    assert answer.context["reply_form"].errors["reply_to"]


def test_link_shows_a_button_and_only_its_press_confirms(client, sender):
    sender.reply_to = "help@example.org"
    sender.save()
    client.logout()
    link = url("reply-confirm", reply_addresses.token_for(sender))

    opened = client.get(link)
    sender.refresh_from_db()
    untouched = sender.usable_reply_to
    pressed = client.post(link)
    sender.refresh_from_db()

    assert "Confirm reply address" in opened.text
    assert untouched == ""
    assert "is confirmed" in pressed.text
    assert sender.usable_reply_to == "help@example.org"


def test_dead_link_says_so(client):
    answer = client.get(url("reply-confirm", "forged"))

    assert answer.status_code == 404
    assert "not valid any more" in answer.text


def test_delete(owner_client, sender):
    owner_client.post(url("delete", sender.pk))

    assert not Sender.objects.for_account(owner_client.account).exists()


STRANGERS = ["detail", "delete", "reply-change", "reply-resend", "password-set", "password-generate", "smtp-close"]


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_sender_is_not_found(owner_client, name):
    there = url(name, SenderFactory().pk)

    assert (owner_client.get(there) if name == "detail" else owner_client.post(there)).status_code == 404


def test_viewer_reads_and_changes_nothing(owner_client, sender):
    Membership.objects.update(role=Role.VIEWER)

    assert sender.address in owner_client.get(url("detail", sender.pk)).text
    assert owner_client.post(url("password-generate", sender.pk)).status_code == 403
    assert owner_client.post(url("tag-create"), {"name": "sale"}).status_code == 403
    assert not Tag.objects.exists()


def test_tags_are_made_renamed_and_deleted(owner_client):
    assert "No tags yet" in owner_client.get(url("tags")).text
    owner_client.post(url("tag-create"), {"name": "sale"})
    tag = Tag.objects.get()
    owner_client.post(url("tag-rename", tag.pk), {"name": "spring-sale"})
    listed = owner_client.get(url("tags")).text
    owner_client.post(url("tag-delete", tag.pk))

    assert 'value="spring-sale"' in listed
    assert not Tag.objects.for_account(owner_client.account).exists()


def test_bad_tag_is_explained(owner_client):
    answer = owner_client.post(url("tag-create"), {"name": "a b"})

    assert answer.context["form"].errors["name"]


def test_strangers_tag_is_not_found(owner_client):
    tag = TagFactory()

    assert owner_client.post(url("tag-rename", tag.pk), {"name": "x"}).status_code == 404
    assert owner_client.post(url("tag-delete", tag.pk)).status_code == 404
    assert tag.name not in owner_client.get(url("tags")).text


def test_operator_freezes_in_the_admin(client, settings):
    settings.MAILPUSH_DELIVERY = "sandbox"
    client.defaults["HTTP_HOST"] = "localhost"
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    sender, tag = SenderFactory(smtp_password_hash="secret-hash"), TagFactory()
    there = reverse("admin:senders_sender_changelist")

    client.post(there, {"action": "freeze", "_selected_action": [sender.pk]})
    sender.refresh_from_db()
    frozen = sender.is_frozen
    client.post(there, {"action": "unfreeze", "_selected_action": [sender.pk]})
    sender.refresh_from_db()

    assert (frozen, sender.is_frozen) == (True, False)
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "sender.frozen",
        "sender.unfrozen",
    ]
    assert "secret-hash" not in client.get(reverse("admin:senders_sender_change", args=[sender.pk])).text
    assert tag.name in client.get(reverse("admin:senders_tag_changelist")).text

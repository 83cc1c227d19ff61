"""Every page: who may see it, who may use it, and that a stranger's rows are not there."""

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import AccessKey, AuditEntry, Role
from accounts.services import members
from tests.factories import (
    AccessKeyFactory,
    InvitationFactory,
    MembershipFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

PAGES = ["settings", "members", "access-keys", "ip-protection", "audit-log", "profile"]


def url(name, *args):
    return reverse(f"accounts:{name}", args=args)


def shown(response):
    return [str(message) for message in response.context["messages"]]


# Who gets in


@pytest.mark.parametrize("page", PAGES)
def test_pages_ask_visitors_to_log_in(client, page):
    response = client.get(url(page))

    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", Role)
def test_every_member_sees_every_page(member, client_of, page, role):
    assert client_of(member(role)).get(url(page)).status_code == 200


@pytest.mark.parametrize("page", ["settings", "members", "access-keys", "audit-log"])
def test_user_without_an_account_is_told_how_to_get_one(client, page):
    client.force_login(UserFactory())

    response = client.get(url(page), follow=True)

    assert response.redirect_chain == [(url("none"), 302)]
    assert "Open your own" in response.content.decode()


@pytest.mark.parametrize(
    ("name", "is_theirs"),
    [
        ("member-change-role", lambda account: MembershipFactory(account=account).pk),
        ("member-remove", lambda account: MembershipFactory(account=account).pk),
        ("invitation-cancel", lambda account: InvitationFactory(account=account).pk),
        ("access-key-enable", lambda account: AccessKeyFactory(account=account).pk),
        ("access-key-disable", lambda account: AccessKeyFactory(account=account).pk),
        ("access-key-delete", lambda account: AccessKeyFactory(account=account).pk),
    ],
)
def test_what_belongs_to_strangers_is_not_found(owner_client, stranger, name, is_theirs):
    pk = is_theirs(stranger.account)

    assert owner_client.post(url(name, pk), {"role": "viewer"}).status_code == 404
    assert owner_client.get(url(name, pk)).status_code == 405
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("name", "make", "allowed"),
    [
        ("member-change-role", MembershipFactory, {Role.OWNER}),
        ("member-remove", MembershipFactory, {Role.OWNER}),
        ("invitation-cancel", InvitationFactory, {Role.OWNER, Role.ADMIN}),
        ("access-key-enable", AccessKeyFactory, {Role.OWNER, Role.ADMIN, Role.DEVELOPER}),
        ("access-key-disable", AccessKeyFactory, {Role.OWNER, Role.ADMIN, Role.DEVELOPER}),
        ("access-key-delete", AccessKeyFactory, {Role.OWNER, Role.ADMIN, Role.DEVELOPER}),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_buttons_work_for_the_roles_they_are_for(account, member, client_of, name, make, allowed, role):
    thing = (
        make(account=account, is_active=name != "access-key-enable")
        if make is AccessKeyFactory
        else make(account=account)
    )

    response = client_of(member(role)).post(url(name, thing.pk), {"role": "viewer"})

    assert response.status_code in {302, 403}
    assert AuditEntry.objects.exists() == (role in allowed)


# Settings


def test_settings_are_changed(owner_client):
    answers = {"name": "New name", "time_zone": "Asia/Shanghai", "directmail_replies": "on"}

    response = owner_client.post(url("settings"), answers, follow=True)

    assert shown(response) == ["The account has been changed."]
    assert 'value="New name"' in response.content.decode()
    assert response.context["form"].initial["directmail_replies"]


def test_settings_page_shows_the_quota(owner_client):
    page = owner_client.get(url("settings")).content.decode()

    assert "0 of 200,000 messages" in page
    assert "0 of 6,000,000 messages" in page


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
def test_settings_are_not_for_everybody(account, member, client_of, role):
    response = client_of(member(role)).post(url("settings"), {"name": "New name", "time_zone": "UTC"})

    account.refresh_from_db()
    assert account.name == "Example Ltd"
    assert "Your role" in response.content.decode()


# Members


def test_owner_invites_from_the_page(owner_client):
    response = owner_client.post(url("members"), {"email": "new@example.com", "role": "developer"}, follow=True)

    assert shown(response) == ["An invitation is on its way to new@example.com."]
    assert "new@example.com" in response.content.decode()
    assert len(mail.outbox) == 1


def test_refused_invitation_says_why_at_its_field(owner_client, owner):
    response = owner_client.post(url("members"), {"email": owner.user.email, "role": "developer"})

    assert response.context["form"].errors == {"email": [f"{owner.user.email} is already a member."]}


def test_administrators_are_not_offered_to_make_owners(member, client_of):
    client = client_of(member(Role.ADMIN))

    response = client.post(url("members"), {"email": "new@example.com", "role": "owner"})

    assert "role" in response.context["form"].errors
    assert not mail.outbox


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
def test_members_page_without_the_right_to_change_it(member, client_of, role):
    member(Role.OWNER)
    client = client_of(member(role))

    page = client.get(url("members")).content.decode()
    client.post(url("members"), {"email": "new@example.com", "role": "viewer"})

    assert "Send invitation" not in page
    assert "/remove/" not in page
    assert not mail.outbox


def test_last_owner_is_told_to_stay(owner_client):
    response = owner_client.post(url("member-leave"), follow=True)

    assert shown(response) == ["An account needs an owner. Make somebody else an owner first."]


def test_who_left_has_no_account(member, client_of):
    member(Role.OWNER)
    client = client_of(member(Role.VIEWER))

    response = client.post(url("member-leave"), follow=True)

    assert response.redirect_chain[-1] == (url("none"), 302)


def test_members_page_costs_the_same_for_three_as_for_one(account, owner_client, django_assert_max_num_queries):
    owner_client.get(url("members"))
    MembershipFactory.create_batch(2, account=account)
    InvitationFactory.create_batch(3, account=account, invited_by=UserFactory())

    with django_assert_max_num_queries(6):
        owner_client.get(url("members"))


def test_removed_member_is_out_at_once(member, client_of, owner, actor):
    membership = member(Role.DEVELOPER)
    client = client_of(membership)
    assert client.get(url("settings")).status_code == 200

    members.remove(membership, by=actor)

    assert client.get(url("settings")).url == url("none")


# Access keys


def test_secret_is_shown_once(owner_client):
    created = owner_client.post(url("access-keys"), {"label": "Shop", "role": "developer"})
    later = owner_client.get(url("access-keys")).content.decode()

    key = AccessKey.objects.get()
    assert key.secret in created.content.decode()
    assert "no-store" in created.headers["Cache-Control"]
    assert key.secret not in later
    assert key.key_id in later


def test_viewers_are_not_offered_keys(member, client_of):
    client = client_of(member(Role.VIEWER))

    page = client.get(url("access-keys")).content.decode()
    response = client.post(url("access-keys"), {"label": "Shop", "role": "viewer"})

    assert "Create key" not in page
    assert response.status_code == 200
    assert not AccessKey.objects.exists()


def test_strangers_keys_are_not_listed(owner_client, stranger):
    theirs = AccessKeyFactory(account=stranger.account)

    assert theirs.key_id not in owner_client.get(url("access-keys")).content.decode()


# Audit log


def entry(account, **fields):
    return AuditEntry.objects.create(account=account, **{"actor": "jo@example.com", "action": "list.deleted", **fields})


def test_audit_log_shows_the_accounts_own_entries(owner_client, account, stranger):
    entry(account, target="Readers", details={"rows": 1000}, ip="192.0.2.1")
    entry(stranger.account, target="Secret list")

    page = owner_client.get(url("audit-log")).content.decode()

    assert "Readers" in page
    assert "rows: 1000" in page
    assert "192.0.2.1" in page
    assert "Secret list" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"one", "two"}),
        ({"q": "JO@"}, {"one"}),
        ({"q": "two"}, {"two"}),
        ({"action": "list.created"}, {"two"}),
        ({"since": "2026-11-02"}, {"two"}),
        ({"until": "2026-11-01"}, {"one"}),
        ({"q": "nobody"}, set()),
        ({"since": "nonsense"}, {"one", "two"}),
    ],
)
def test_audit_log_is_filtered(owner_client, account, query, found):
    entry(account, target="one", at="2026-11-01T23:59Z")
    entry(account, target="two", at="2026-11-02T00:00Z", actor="ann@example.com", action="list.created")

    response = owner_client.get(url("audit-log"), query)

    assert {shown.target for shown in response.context["page"]} == found


def test_audit_log_has_pages(owner_client, account):
    for number in range(21):
        entry(account, target=f"list {number}")

    assert len(owner_client.get(url("audit-log")).context["page"]) == 20
    assert len(owner_client.get(url("audit-log"), {"page": 2}).context["page"]) == 1


# Profile and language


def test_profile_changes_language_and_clock_of_the_pages(owner_client, owner):
    owner_client.post(url("profile"), {"name": "Jo", "language": "zh-hans", "time_zone": "Asia/Shanghai"})

    response = owner_client.get(url("profile"))

    assert response.headers["Content-Language"] == "zh-hans"
    assert response.context["TIME_ZONE"] == "Asia/Shanghai"
    owner.user.refresh_from_db()
    assert owner.user.name == "Jo"


def test_visitors_choose_a_language(client):
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/"})

    assert client.cookies["django_language"].value == "zh-hans"


def test_language_of_a_user_is_kept(owner_client, owner):
    owner_client.post(reverse("set_language"), {"language": "zh-hans", "next": "/"})
    owner_client.post(reverse("set_language"), {"language": "klingon", "next": "/"})

    owner.user.refresh_from_db()
    assert owner.user.language == "zh-hans"


def test_time_zone_that_was_dropped_does_not_break_the_pages(owner_client, owner):
    type(owner.user).objects.update(time_zone="Moon/Tranquility")

    assert owner_client.get(url("profile")).status_code == 200

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.models import AuditEntry, Membership, Role
from domains.checks import running
from domains.models import Domain
from tests.factories import DomainFactory, SenderFactory, UserFactory

pytestmark = pytest.mark.django_db


def page(client, name, *args, **options):
    return client.get(reverse(f"domains:{name}", args=args), **options)


def test_empty_list_says_what_to_do(owner_client):
    answer = page(owner_client, "index")

    assert "No domains yet" in answer.text
    assert reverse("domains:create") in answer.text


@pytest.mark.parametrize("count", [1, 3])
def test_list_shows_own_domains_with_their_senders(owner_client, count, django_assert_max_num_queries):
    for _ in range(count):
        sender = SenderFactory(account=owner_client.account)
    stranger = DomainFactory()

    with django_assert_max_num_queries(9):
        answer = page(owner_client, "index")

    assert sender.domain.name in answer.text
    assert stranger.name not in answer.text


def test_list_is_searched(owner_client):
    DomainFactory(account=owner_client.account, name="shop.example.com")
    DomainFactory(account=owner_client.account, name="news.example.com")

    answer = page(owner_client, "index", query_params={"q": "NEWS"})

    assert "news.example.com" in answer.text
    assert "shop.example.com" not in answer.text


def test_new_domain_leads_to_its_records(owner_client, world):
    answer = owner_client.post(reverse("domains:create"), {"name": "mail.example.com"}, follow=True)

    domain = Domain.objects.get()
    assert answer.redirect_chain == [(reverse("domains:detail", args=[domain.pk]), 302)]
    assert domain.ownership_token in answer.text
    assert "Missing: there is no such record." in answer.text


def test_new_domain_form_shows_the_refusal_at_the_field(owner_client):
    answer = owner_client.post(reverse("domains:create"), {"name": "co.uk"})

    assert answer.status_code == 200
    assert answer.context["form"].errors["name"]
    assert "subdomain" in answer.text


def test_detail_shows_what_was_found_instead(owner_client, make_domain, world):
    domain = make_domain(account=owner_client.account)
    world.zones[domain.name] = {"MX": ["10 mx.elsewhere.test."]}
    owner_client.post(reverse("domains:verify", args=[domain.pk]))

    answer = page(owner_client, "detail", domain.pk)

    assert "The record points to another host." in answer.text
    assert "10 mx.elsewhere.test" in answer.text
    assert "is received by mx.elsewhere.test at present" in answer.text


@pytest.mark.parametrize(("delivery", "is_told"), [("mx", True), ("sandbox", False)])
def test_nobody_has_mailboxes_in_the_sandbox(owner_client, make_domain, world, settings, delivery, is_told):
    settings.MAILPUSH_DELIVERY = delivery
    domain = make_domain(account=owner_client.account)
    world.zones[domain.name] = {"MX": [f"10 mx.{domain.name}."]}
    owner_client.post(reverse("domains:verify", args=[domain.pk]))

    assert ("at present" in page(owner_client, "detail", domain.pk).text) == is_told


def test_verify_by_htmx_answers_with_the_results_alone(owner_client, make_domain, publish):
    domain = make_domain(account=owner_client.account)
    publish(domain)

    answer = owner_client.post(reverse("domains:verify", args=[domain.pk]), headers={"HX-Request": "true"})

    assert answer.text.strip().startswith('<div id="records">')
    assert "Verified" in answer.text


def test_second_verify_says_that_a_check_runs(owner_client, make_domain, now):
    domain = make_domain(account=owner_client.account)
    running.claim(domain, now=now.replace(year=2099))

    answer = owner_client.post(reverse("domains:verify", args=[domain.pk]), headers={"HX-Request": "true"})

    assert "is being checked" in answer.text


def test_open_page_of_an_unverified_domain_looks_again(owner_client, make_domain):
    domain = make_domain(account=owner_client.account)

    assert 'hx-trigger="every 15s"' in page(owner_client, "records", domain.pk).text
    Domain.objects.update(status=Domain.Status.VERIFIED)
    assert "hx-trigger" not in page(owner_client, "records", domain.pk).text


def test_delete(owner_client, make_domain):
    domain = make_domain(account=owner_client.account)

    answer = owner_client.post(reverse("domains:delete", args=[domain.pk]), follow=True)

    assert f"{domain.name} is deleted." in answer.text
    assert not Domain.objects.for_account(owner_client.account).exists()


def test_delete_with_senders_is_refused_on_the_page(owner_client, make_domain):
    domain = make_domain(account=owner_client.account)
    SenderFactory(account=owner_client.account, domain=domain)

    answer = owner_client.post(reverse("domains:delete", args=[domain.pk]), follow=True)

    assert "still has sender addresses (1)" in answer.text


@pytest.mark.parametrize("name", ["detail", "records", "verify", "delete"])
def test_strangers_domain_is_not_found(owner_client, make_domain, name):
    url = reverse(f"domains:{name}", args=[make_domain().pk])

    answer = owner_client.get(url) if name in {"detail", "records"} else owner_client.post(url)

    assert answer.status_code == 404


def test_viewer_sees_records_but_no_buttons(owner_client, make_domain):
    domain = make_domain(account=owner_client.account)
    Membership.objects.update(role=Role.VIEWER)

    answer = page(owner_client, "detail", domain.pk)

    assert domain.ownership_token in answer.text
    assert reverse("domains:verify", args=[domain.pk]) not in answer.text
    assert owner_client.post(reverse("domains:verify", args=[domain.pk])).status_code == 403


def test_operator_holds_and_releases_in_the_admin(admin_site_client, make_domain):
    domain = make_domain(status=Domain.Status.VERIFIED)
    url = reverse("admin:domains_domain_changelist")

    assert domain.name in admin_site_client.get(reverse("admin:domains_domain_change", args=[domain.pk])).text
    admin_site_client.post(url, {"action": "hold", "_selected_action": [domain.pk]})
    domain.refresh_from_db()
    held = domain.is_held
    admin_site_client.post(url, {"action": "release", "_selected_action": [domain.pk]})
    domain.refresh_from_db()

    assert held
    assert domain.status == Domain.Status.VERIFIED
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "domain.held",
        "domain.released",
    ]


def test_reviewer_without_the_right_sees_no_actions(admin_site_client, make_domain):
    domain = make_domain(status=Domain.Status.VERIFIED)
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_domain"))
    admin_site_client.force_login(user)

    admin_site_client.post(
        reverse("admin:domains_domain_changelist"), {"action": "hold", "_selected_action": [domain.pk]}
    )

    domain.refresh_from_db()
    assert not domain.is_held


@pytest.fixture
def admin_site_client(client, settings):
    """An operator at this very machine, where the sandbox asks for no second factor."""
    settings.MAILPUSH_DELIVERY = "sandbox"
    client.defaults["HTTP_HOST"] = "localhost"
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.urls import reverse

from mailpush.lib import pages


def navigation(path="/", *, is_staff=False):
    request = RequestFactory(headers={"host": "localhost"}).get(path)
    request.user = AnonymousUser()
    request.user.is_staff = is_staff
    return pages.navigation(request)


def active(path):
    return [str(entry.label) for section in navigation(path) for entry in section.entries if entry.is_active]


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("/console/", ["Overview"]),
        ("/console/domains/", ["Domains"]),
        ("/console/domains/12/", ["Domains"]),
        ("/console/account/", ["Settings"]),
        ("/console/account/members/", ["Members"]),
        ("/console/account/profile/", []),
        ("/accounts/login/", []),
    ],
)
def test_the_nearest_place_above_the_page_is_marked(path, labels):
    assert active(path) == labels


def test_every_place_is_told_from_the_others():
    places = [*pages.WORK, *pages.ACCOUNT, *pages.SANDBOX, *pages.STAFF]

    assert len({place.url for place in places}) == len(places)
    assert len({place.icon for place in places}) == len(places)


def test_review_desk_is_for_staff():
    assert reverse("admin:index") not in [entry.url for section in navigation() for entry in section.entries]
    assert reverse("admin:index") in [entry.url for section in navigation(is_staff=True) for entry in section.entries]


def test_sandbox_inbox_is_in_the_navigation_of_a_sandbox_only(settings):
    inbox = reverse("sandbox:inbox")

    assert inbox in [entry.url for section in navigation() for entry in section.entries]
    settings.MAILPUSH_DELIVERY = "mx"
    assert inbox not in [entry.url for section in navigation() for entry in section.entries]


@pytest.mark.parametrize(
    ("delivery", "peer", "is_shown"),
    [("sandbox", "127.0.0.1", True), ("sandbox", "192.0.2.7", False), ("mx", "127.0.0.1", False)],
)
def test_hint_of_the_sandbox_is_for_visitors_at_this_machine(settings, delivery, peer, is_shown):
    settings.MAILPUSH_DELIVERY = delivery
    request = RequestFactory(headers={"host": "localhost"}).get("/", REMOTE_ADDR=peer)

    assert bool(pages.shell(request)["sandbox_hint"]) is is_shown

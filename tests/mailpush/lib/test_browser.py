"""What the page scripts do, in a real browser, under the content security policy."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.urls import reverse
from playwright.sync_api import Page, sync_playwright

from mailpush.lib import ui
from tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@pytest.fixture
def email(live_server):
    """The address of an account's owner; the server answers."""
    missing = "Chromium is not installed." if not CHROMIUM else ""
    missing = missing or ("" if ui.ICONS.is_dir() else "The packages of the pages are not installed.")
    if missing:
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return MembershipFactory().user.email


@contextmanager
def browser() -> Iterator[tuple[Page, list[str]]]:
    """Open a page with a passkey device; the list fills with what the browser complains of."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
        device = page.context.new_cdp_session(page)
        device.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "automaticPresenceSimulation": True}
        options |= {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
        device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        yield page, complaints
        chromium.close()


def log_in(page: Page, site: str, email: str) -> None:
    page.goto(site + reverse("account_login"))
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    page.click("main form .btn-primary")
    page.wait_for_url("**/console/**")


def test_passkey_is_added_and_logs_in_without_a_password(live_server, email):
    with browser() as (page, complaints):
        log_in(page, live_server.url, email)
        page.goto(live_server.url + reverse("mfa_add_webauthn"))
        page.fill("[name=password]", PASSWORD)  # protected pages ask once more
        page.click("main .btn-primary")
        page.check("[name=passwordless]")
        page.click("#passkey")
        page.wait_for_url("**/recovery-codes/**")
        page.context.clear_cookies()

        page.goto(live_server.url + reverse("account_login"))
        page.click("#passkey_login")
        page.wait_for_url("**/console/**")

    assert complaints == []


def test_theme_is_kept(live_server, email):
    with browser() as (page, complaints):
        page.goto(live_server.url + reverse("account_login"))
        page.click("[data-bs-toggle=dropdown]:has(.theme-light)")
        page.click("[data-set-theme=dark]")
        page.reload()

        assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert complaints == []


def test_what_loses_something_asks_first_and_is_sent_once(live_server, email):
    with browser() as (page, complaints):
        log_in(page, live_server.url, email)
        page.goto(live_server.url + reverse("mfa_index"))
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        page.evaluate("document.querySelector('header form[action$=\"logout/\"]').dataset.confirm = 'Leave?'")
        page.click("header .dropdown:last-child > button")
        page.click("header form[action$='logout/'] button")
        page.wait_for_selector("#confirm.show")

        assert page.inner_text("#confirm-text") == "Leave?"
        assert sent == []
        page.click("#confirm [data-confirmed]")
        page.wait_for_url("**/login/**")

    assert len(sent) == 1
    assert complaints == []

"""What only a browser shows: that the editor writes, and that a customer's HTML stays in its frame."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect, sync_playwright

from mailpush.lib import ui
from templates_app.models import Template
from templates_app.rendering import compiling
from tests.factories import PASSWORD, MembershipFactory, TemplateFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
HOSTILE = """
<script>parent.document.title = "taken"</script><img src="data:," onerror="parent.document.title = 'taken'">
<form action="/console/" id="form"><button>x</button></form><p id="end">{UserName}</p>
"""


@pytest.fixture
def site(live_server):
    """The address of the running program, where a browser can look at it."""
    missing = "Chromium is not installed." if not CHROMIUM else ""
    missing = missing or ("" if ui.ICONS.is_dir() else "The packages of the pages are not installed.")
    if missing:
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return live_server.url


@contextmanager
def browser(site: str, email: str, address: str) -> Iterator[Page]:
    """Open the page for who logs in with this address. The database is not to be asked meanwhile."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1360, "height": 1000})
        page.goto(site + reverse("account_login"))
        page.fill("[name=login]", email)
        page.fill("[name=password]", PASSWORD)
        page.click("main form .btn-primary")
        page.wait_for_url("**/console/**")
        page.goto(site + address)
        yield page
        chromium.close()


def test_template_is_written_in_both_editors(site):
    author = MembershipFactory().user.email
    with browser(site, author, reverse("templates_app:create")) as page:
        page.fill("[name=name]", "News-1")
        page.fill("[name=subject]", "Hello")
        page.fill("[name=sender_name]", "Example")
        page.frame_locator("iframe.tox-edit-area__iframe").locator("body").press_sequentially("Dear ")
        page.get_by_role("button", name="Variables").click()
        page.get_by_text("{UserName}", exact=True).last.click()

        page.get_by_role("button", name="Edit as HTML source").click()
        expect(page.locator("textarea[name=html]")).to_have_value("<p>Dear {UserName}</p>")
        page.fill("textarea[name=html]", "<style>p{color:red}</style><p>Dear {UserName}</p>")
        page.get_by_role("button", name="Save and preview").click()

        frame = page.frame_locator("iframe.mail-frame")
        expect(frame.locator("p")).to_have_text("Dear 张三")
        expect(frame.locator("p")).to_have_css("color", "rgb(255, 0, 0)")
        page.get_by_label("Recipient").select_option("english")
        expect(frame.locator("p")).to_have_text("Dear Ann Smith")

    assert Template.objects.get().html == "<style>p{color:red}</style><p>Dear {UserName}</p>"


def test_nothing_in_a_preview_runs_or_leaves_it(site):
    author = MembershipFactory()
    template = TemplateFactory(account=author.account, prepared_html=compiling.quoted(HOSTILE, is_html=True))
    address = reverse("templates_app:detail", args=[template.pk])
    with browser(site, author.user.email, address) as page:
        frame = page.frame_locator("iframe.mail-frame")
        expect(frame.locator("#end")).to_be_visible()
        frame.locator("#form button").click()
        frame.locator("#end").click()

        assert "taken" not in page.title()
        assert page.url == site + address
        page.goto(site + address + "preview/")  # opened by itself, it is in a sandbox all the same
        assert page.evaluate("origin") == "null"


def test_reviewer_decides_at_the_desk(site):
    author, reviewer = MembershipFactory(), MembershipFactory(user=UserFactory(is_staff=True))
    template = TemplateFactory(
        account=author.account, created_by=author.user, status="pending", submitted_at=author.created_at
    )
    with browser(site, reviewer.user.email, reverse("admin:templates_app_template_changelist")) as page:
        page.get_by_role("link", name=template.name).click()
        expect(page.frame_locator("iframe.review-frame").locator("p")).to_have_text("Hello 张三")

        page.fill("[name=reason]", "Too loud")
        page.get_by_role("button", name="Reject with this reason").click()

        expect(page.get_by_text("is rejected; its author is told by mail")).to_be_visible()

    template.refresh_from_db()
    assert template.status == Template.Status.REJECTED


def test_who_says_no_to_a_question_goes_on_where_it_came_up(site):
    author = MembershipFactory()
    template = TemplateFactory(account=author.account)
    address = reverse("templates_app:detail", args=[template.pk])
    with browser(site, author.user.email, address) as page:
        delete = page.locator("form[data-confirm] button", has_text="Delete").first
        delete.focus()
        page.keyboard.press("Enter")
        question = page.locator("#confirm.show")
        expect(question).to_be_focused()
        page.keyboard.press("Escape")

        expect(page.locator("#confirm")).to_be_hidden()
        expect(delete).to_be_focused()
        assert page.url == site + address

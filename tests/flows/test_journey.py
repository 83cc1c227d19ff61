"""A customer walks the manual in a browser, from sign-up to statistics; a reviewer approves in between."""

import re

import pytest
from playwright.sync_api import expect

PASSWORD = "correct-horse-battery-9"
CUSTOMER = "customer@shop.example"
REVIEWER = "desk@mailpush.example"

LIST = "EAddr,UserName,Mobile\n" + "".join(f"reader{n}@north.example,Reader {n},1380000{n:04}\n" for n in range(1, 31))
ODD_ROWS = "bounce-1@south.example,Gone,\nnot an address,Nobody,\nreader1@north.example,Twice,\n"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def visitor(browser, platform):
    """A page that fails the test on script errors and on answers that say our code broke."""
    context = browser.new_context(base_url=platform.url, locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("response", lambda answer: trouble.append(answer.url) if answer.status >= 500 else None)
    page.on("console", lambda line: trouble.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    context.close()
    assert trouble == []


def test_from_sign_up_to_statistics(visitor, browser, platform, tmp_path):
    sign_up(visitor)
    prove_domain(visitor)
    create_sender(visitor)
    upload_list(visitor, tmp_path)
    write_template(visitor)
    approve(browser, platform)
    send(visitor)
    read_statistics(visitor)


def sign_up(page):
    page.goto("/accounts/signup/")
    page.locator("input[name=email]").fill(CUSTOMER)
    page.locator("input[name=password1]").fill(PASSWORD)
    page.locator("input[name=password2]").fill(PASSWORD)
    page.locator("input[name=password2]").press("Enter")
    page.wait_for_url("**/confirm-email/")
    # No mail leaves this machine: it is read in the sandbox inbox, before login.
    page.goto("/console/sandbox/")
    for _ in range(20):
        if page.get_by_text(CUSTOMER).count():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.locator("table a").first.click()
    page.get_by_role("link", name=re.compile("confirm-email")).first.click()
    page.locator("main form button, .card form button").first.click()
    if "/login" in page.url:
        log_in(page, CUSTOMER)
    page.goto("/console/")
    expect(page.locator("h1, .page-title").first).to_be_visible()


def log_in(page, email, password=PASSWORD):
    page.goto("/accounts/login/")
    page.locator("input[name=login]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/console/**")


def prove_domain(page):
    page.goto("/console/domains/new/")
    page.locator("input[name=name]").fill("news.shop.example")
    page.locator("input[name=name]").press("Enter")
    page.wait_for_url(re.compile(r"/console/domains/\d+/"))
    expect(page.get_by_text("Waiting for DNS records").first).to_be_visible()
    page.get_by_role("button", name=re.compile("sandbox", re.IGNORECASE)).click()
    page.get_by_role("button", name=re.compile("Check now|Verify")).click()
    expect(page.get_by_text("Verified", exact=True).first).to_be_visible()


def create_sender(page):
    page.goto("/console/senders/new/")
    page.locator("select[name=domain]").select_option(label="news.shop.example")
    page.locator("input[name=account_part]").fill("hello")
    page.locator("[name=stream][value=batch]").check()
    page.locator("input[name=account_part]").press("Enter")
    page.wait_for_url(re.compile(r"/console/senders/\d+/"))
    expect(page.get_by_text("hello@news.shop.example").first).to_be_visible()


def upload_list(page, folder):
    page.goto("/console/lists/new/")
    page.locator("input[name=name]").fill("readers")
    page.locator("input[name=alias]").fill("readers@news.shop.example")
    page.locator("input[name=alias]").press("Enter")
    page.wait_for_url(re.compile(r"/console/lists/\d+/"))
    path = folder / "readers.csv"
    path.write_text(LIST + ODD_ROWS)
    if not page.locator("input[type=file]").count():
        page.get_by_role("link", name=re.compile("Upload")).first.click()
    page.locator("input[type=file]").set_input_files(path)
    page.locator("form:has(input[type=file]) button").click()
    expect(page.get_by_text("Done").first).to_be_visible()
    # 30 readers and one that will bounce are added; a duplicate and a line without an address are told.
    page.goto("/console/lists/")
    expect(page.get_by_role("row", name=re.compile("readers")).get_by_text("31", exact=True)).to_be_visible()


def write_template(page):
    page.goto("/console/templates/new/")
    page.locator("input[name=name]").fill("Autumn-1")
    page.locator("input[name=subject]").fill("{UserName}, autumn is here")
    page.locator("input[name=sender_name]").fill("Shop")
    frame = page.frame_locator("iframe.tox-edit-area__iframe")
    frame.locator("body").fill("Dear {UserName}, your number is {Mobile}.")
    page.get_by_role("button", name="Save and submit for review").click()
    page.wait_for_url(re.compile(r"/console/templates/\d+/$"))
    expect(page.get_by_text("Waiting for review").first).to_be_visible()


def approve(browser, platform):
    platform.manage("create_account", REVIEWER, "--password", PASSWORD, "--staff")
    context = browser.new_context(base_url=platform.url, locale="en-GB")
    page = context.new_page()
    log_in(page, REVIEWER)
    page.goto("/admin/templates_app/template/")
    page.get_by_role("link", name="Autumn-1").click()
    expect(page.frame_locator("iframe.review-frame").get_by_text("Dear 张三")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    page.goto("/admin/templates_app/template/?status=approved")
    expect(page.get_by_role("link", name="Autumn-1")).to_be_visible()
    context.close()


def send(page):
    page.goto("/console/batches/new/")
    for field, option in (("list", "readers"), ("template", "Autumn-1"), ("sender", "hello@news.shop.example")):
        label = page.locator(f"select[name={field}] option", has_text=option).first.inner_text()
        page.locator(f"select[name={field}]").select_option(label=label)
    page.get_by_role("button", name="Check and send").click()
    page.get_by_role("button", name=re.compile("Send to 31")).click()
    page.wait_for_url(re.compile(r"/console/batches/\d+/"))
    expect(page.get_by_text("Sent", exact=True).first).to_be_visible(timeout=30_000)
    page.get_by_placeholder("Beginning of the address").fill("bounce-1")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="bounce-1@south.example").click()
    expect(page.get_by_text("No such mailbox here").first).to_be_visible()
    page.goto("/console/sandbox/?q=reader7@north.example")
    page.locator("table a").first.click()
    expect(page.get_by_text("Reader 7, autumn is here").first).to_be_visible()


def read_statistics(page):
    """The roll-up runs every 30 seconds and may run between a message's order and its outcome.

    30 delivered, one invalid: success is reckoned without the invalid, as the manual does.
    """
    for _ in range(45):
        page.goto("/console/statistics/")
        if page.get_by_text("100.00 %").count():
            break
        page.wait_for_timeout(1000)
    expect(page.get_by_text("100.00 %").first).to_be_visible()
    expect(page.get_by_text("31", exact=True).first).to_be_visible()
    expect(page.get_by_text("3.23 %").first).to_be_visible()

"""The page that tells of the API, in a browser: readable in light and dark, with nothing from elsewhere."""

import os
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from playwright.sync_api import sync_playwright

from tests.flows.conftest import ALONE, CHROMIUM

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def site(live_server):
    """The address of the running program, where a browser can look at it."""
    missing = "Chromium is not installed." if not CHROMIUM else ""
    if not missing and finders.find("vendor/swagger-ui/swagger-ui-bundle.js") is None:
        missing = "The packages of the pages are not installed."
    if missing:
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return live_server.url


@contextmanager
def reader(site):
    """Open the page; it notes what goes wrong and whom it asks."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        page = chromium.new_page(color_scheme="light", viewport={"width": 1280, "height": 900})
        page.trouble, page.hosts = [], set()
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("console", lambda line: page.trouble.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{site}/api/v1/docs/")
        page.locator(".opblock").first.wait_for()
        yield page
        chromium.close()


def test_the_page_tells_of_every_operation(site):
    with reader(site) as page:
        page.get_by_text("Send to one or up to 1,000 recipients").click()
        page.get_by_text("no-reply@news.example.com").first.wait_for()

        assert page.locator(".opblock").count() > 50
        assert page.trouble == []
        assert page.hosts - {""} == {urlsplit(site).netloc}


def test_it_is_readable_in_light_and_dark(site):
    with reader(site) as page:
        for choice in ("Light", "Dark"):
            page.get_by_role("button", name=choice, exact=True).click()
            for selector in (".info .title", ".opblock-summary-description", ".info p", ".docs-bar a"):
                assert page.evaluate(CONTRAST, selector) >= 4.5, (choice, selector)


# The contrast of an element's text with what lies behind it (WCAG 2.1, 1.4.3).
CONTRAST = """
(selector) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const element = document.querySelector(selector);
  const behind = [];
  for (let node = element; node; node = node.parentElement) {
    behind.push(numbers(getComputedStyle(node).backgroundColor));
  }
  let ground = [255, 255, 255];
  for (const [r, g, b, alpha = 1] of behind.reverse()) {
    ground = [r, g, b].map((value, at) => value * alpha + ground[at] * (1 - alpha));
  }
  const [one, other] = [light(numbers(getComputedStyle(element).color)), light(ground)].sort((a, b) => b - a);
  return (one + 0.05) / (other + 0.05);
}
"""

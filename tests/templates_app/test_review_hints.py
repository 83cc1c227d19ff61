from dataclasses import replace

import pytest

from templates_app import review
from templates_app.services import reviews, templates

pytestmark = pytest.mark.django_db


@pytest.fixture
def hints_of(draft, actor, now):
    """Return hints as {sentence: items} for a draft with these changes."""

    def look(**changes):
        template = templates.create(replace(draft, **changes), by=actor, now=now)
        return {hint.sentence: hint.items for hint in review.hints(template)}

    return look


def link(href, words="here"):
    return f'<p>{"Some text. " * 20}<a href="{href}">{words}</a></p>'


MISLEADING = "Links that name one address and lead to another:"
FROM_LIST = "Where these links lead is in the recipient list, not in the template:"
ODD = "Hosts that are numbers or look like other letters (xn--):"


def test_hosts_of_links_are_counted(hints_of):
    hints = hints_of(html=link("https://a.example/1") + link("https://B.example") + link("https://a.example/2"))

    assert hints["Links lead to:"] == ("a.example (2)", "b.example (1)")
    assert MISLEADING not in hints


@pytest.mark.parametrize(
    ("href", "words", "is_misleading"),
    [
        ("https://evil.example/", "https://bank.example/login", True),
        ("https://evil.example/", "www.bank.example", True),
        ("https://bank.example.evil.example/", "bank.example", True),
        ("https://notbank.example/", "bank.example", True),
        ("https://bank.example@evil.example/", "bank.example", True),
        ("https://bank.example/login", "https://bank.example/", False),
        ("https://www.bank.example/", "bank.example", False),
        ("https://shop.bank.example/", "bank.example", False),
        ("https://evil.example/", "our bank", False),
        ("https://evil.example/", "<b>bank.</b><i>example</i>", True),
    ],
)
def test_links_that_say_something_else_are_shown(hints_of, href, words, is_misleading):
    assert (MISLEADING in hints_of(html=link(href, words))) == is_misleading


@pytest.mark.parametrize(
    ("href", "sentence"),
    [
        ("{UserName}", FROM_LIST),
        ("https://{NickName}.example/", FROM_LIST),
        ("https://192.0.2.1/", ODD),
        ("https://[2001:db8::1]/", ODD),
        ("https://xn--80ak6aa92e.example/", ODD),
        ("http://a.example/", "Some links are not encrypted (http)."),
    ],
)
def test_suspicious_targets_are_shown(hints_of, href, sentence):
    assert sentence in hints_of(html=link(href))


@pytest.mark.parametrize("href", ["https://a.example/?u={EAddr}", "mailto:a@b.example", "#top", "https://[broken/"])
def test_ordinary_targets_are_not_suspicious(hints_of, href):
    assert not {FROM_LIST, ODD, MISLEADING} & set(hints_of(html=link(href)))


def test_images_are_looked_at(hints_of):
    hints = hints_of(html='<img src="http://a.example/1.png"><img src="https://b.example/2.png"><img src=x alt="">')

    assert "2 images have no description." in hints
    assert "Some images are not encrypted (http): many mail readers do not show them." in hints
    assert "Little text for its images: spam filters dislike that." in hints
    assert hints["Images come from:"] == ("a.example", "b.example")


def test_size_that_gmail_cuts_is_told(hints_of):
    assert "105 KB of HTML: Gmail cuts it off at 102 KB." in hints_of(html="a" * 105 * 1024)


@pytest.mark.parametrize(("name", "is_told"), [("service@bank.example", True), ("Bank.com", True), ("Bank AG", False)])
def test_sender_name_that_is_an_address_is_told(hints_of, name, is_told):
    assert ("The sender name looks like an address." in hints_of(sender_name=name)) == is_told


def test_content_that_was_rejected_comes_back_with_the_reason(pending, reviewer, actor, now):
    reviews.reject(pending, content_hash=pending.content_hash, reason="Too loud", reviewer=reviewer, now=now)
    templates.submit(pending, by=actor, now=now)

    assert review.Hint("The very same content was rejected before:", items=("Too loud",)) in review.hints(pending)


def test_warnings_come_first(draft, actor, now):
    html = link("https://evil.example/", "bank.example") + "<img src=https://a.example/x.png>"
    template = templates.create(replace(draft, html=html), by=actor, now=now)

    warnings = [hint.is_warning for hint in review.hints(template)]

    assert warnings == sorted(warnings, reverse=True)
    assert True in warnings


def test_first_version_differs_from_nothing(pending):
    assert review.differences(pending) == []


def test_changes_since_the_approved_version_are_shown(draft, pending, reviewer, actor, now):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)
    changed = replace(draft, subject="Dear {UserName}", html="<p>Dear {UserName}</p><p>New</p>")
    template = templates.edit(pending, changed, by=actor, now=now)

    parts = {part: [(line.sign, line.text) for line in lines] for part, lines in review.differences(template)}

    assert list(parts) == ["Subject", "Text part", "HTML body"]
    assert parts["Subject"] == [("-", "Hello {UserName}"), ("+", "Dear {UserName}")]
    assert ("+", "<p>New</p>") in parts["HTML body"]
    assert ("+", "New") in parts["Text part"]


def test_what_is_too_long_is_not_compared(draft, pending, reviewer, actor, now):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)
    template = templates.edit(pending, replace(draft, text="a\n" * 3001), by=actor, now=now)

    assert review.differences(template) == [
        ("Text part", [review.Line("@", "Too long to be compared; look at the whole.")])
    ]

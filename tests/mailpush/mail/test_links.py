"""Links of HTML bodies: which are found, and that nothing else is touched."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.links import read, replaced

PIXEL = "<pixel>"


def numbered(html):
    """Return the HTML with its web links numbered, and what they were."""
    found = []

    def link(href):
        if not href.strip().lower().startswith("http"):
            return None
        found.append(href)
        return f"\0{len(found)}\0"

    return replaced(html, link=link, ending=PIXEL), found


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<a href="https://a.example/?b=1&amp;c=2">x</a>', ["https://a.example/?b=1&amp;c=2"]),
        ("<A\nCLASS=x HREF = http://a.example/b/>x</A>", ["http://a.example/b/"]),
        ("<a title='<a href=\"http://no.example\">' href='http://a.example'>x</a>", ["http://a.example"]),
        ("<a href='http://a.example' href='http://b.example'>x</a>", ["http://a.example"]),
        ('<a/href="http://a.example"/>', ["http://a.example"]),
        ('<a href="http://a.example" data-no-track>x</a>', []),
        ('<a DATA-NO-TRACK="" href="http://a.example">x</a>', []),
        ('<a href="mailto:a@b.example">', []),
        ('<a href="#top"><a href><a href=>', []),
        ('<!-- <a href="http://a.example"> --><a href="http://b.example">', ["http://b.example"]),
        ('<!--[if !mso]><!--><a href="http://a.example"><!--<![endif]-->', ["http://a.example"]),
        ('<style>a{b:"<a href=http://a.example>"}</style><a href="http://b.example">', ["http://b.example"]),
        ('<title><a href="http://a.example"></title>', []),
        ('<abbr href="http://a.example"><area href="http://b.example"><link href="http://c.example">', []),
        ('<a href="http://a.example', []),
        ('<a data-href="http://a.example" href="http://b.example">', ["http://b.example"]),
    ],
)
def test_links_are_found_as_browsers_find_them(html, found):
    assert numbered(html)[1] == found


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<body>x</body></html>", "<body>x<pixel></body></html>"),
        ("<BODY>x</BODY >", "<BODY>x<pixel></BODY >"),
        ("</body><!-- </body> -->", "<pixel></body><!-- </body> -->"),
        ("a</body>b</body>c", "a</body>b<pixel></body>c"),
        ("<p>x</p>", "<p>x</p><pixel>"),
        ("", "<pixel>"),
        (
            '<a href="http://a"></a></body><a href="http://b"></a>',
            '<a href="\0001\0"></a><pixel></body><a href="\0002\0"></a>',
        ),
    ],
)
def test_pixel_stands_where_the_body_ends(html, expected):
    assert numbered(html)[0] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&b=2&copy=3&region=4&para", "?a=1&b=2&copy=3&region=4\u00b6"),
        ("&copy;&copy &copyright;&#38;&#x26&#X26;", "\u00a9\u00a9 &copyright;&&&"),
        ("&nosuch;&amp;amp;&", "&nosuch;&amp;&"),
        ("&#0;&#xd800;&#99999999;", "\ufffd\ufffd\ufffd"),
    ],
)
def test_values_are_read_as_browsers_read_them(value, expected):
    assert read(value) == expected


PIECES = [
    "<a ",
    "href=",
    '"',
    "'",
    "http://a.example",
    "mailto:x",
    " ",
    ">",
    "</body>",
    "<!--",
    "-->",
    "<style>",
    "</style>",
]
html = (
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30)
    .map("".join)
    .filter(lambda text: "\0" not in text)
)


@given(html)
def test_every_other_character_stays(html):
    changed, found = numbered(html)

    for number, href in enumerate(found, 1):
        changed = changed.replace(f"\0{number}\0", href, 1)
    assert changed.replace(PIXEL, "", 1) == html if PIXEL not in html else True


hrefs = st.sampled_from(["http://a.example/?x=1", "https://b.example/é", "mailto:a@b.example", "#here"])
tags = st.builds(
    lambda before, quote, href, after: f"<a {before} href={quote}{href}{quote} {after}>text</a>",
    st.sampled_from(["", "class='x'", 'title=">"', "id=y"]),
    st.sampled_from(['"', "'"]),
    hrefs,
    st.sampled_from(["", "target=_blank", "title='<a>'"]),
)


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "a" and (href := dict(attrs).get("href")) and href.startswith("http"):
            self.found.append(href)


@given(
    st.lists(tags | st.sampled_from(["<p>", "<br/>", "words", "<!-- c -->", "<style>p{}</style>"]), max_size=8).map(
        "".join
    )
)
def test_an_html_parser_finds_the_same(html):
    parser = Links()
    parser.feed(html)

    assert numbered(html)[1] == parser.found


@pytest.mark.parametrize(
    "piece",
    ["<a ", '<a "', "<a x='\"", "<!--", "<style >", "<a x=y ", "<a href=", "</body>", "<a / ", "<a href='http://a.b'>"],
)
def test_hostile_bodies_take_time_in_proportion(piece):
    begun = time.process_time()
    numbered(piece * 100_000)

    assert time.process_time() - begun < 5

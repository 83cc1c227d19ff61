import http.server
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_app import rendering
from templates_app.rendering import NotPreparable, compiling

VALUES = {"UserName": "Ann & Bob", "EAddr": "ann@north.example"}


def rendered(html):
    return rendering.compile(rendering.prepare_html(html), escape=True).render(VALUES)


def test_styles_are_inlined_and_media_queries_kept():
    html = rendering.prepare_html("<style>p{color:red} @media print{p{color:blue}}</style><p>{UserName}</p>")

    assert '<p style="color: red;">{UserName}</p>' in html
    assert "@media print{p{color:blue}}" in html


@pytest.mark.parametrize(
    ("html", "body"),
    [
        ("<p>{UserName}</p>", "<p>Ann &amp; Bob</p>"),
        ("<p>{{UserName}} }}</p>", "<p>{UserName} }</p>"),
        ("<p>&#123;UserName&#125; &lbrace;</p>", "<p>{UserName} {</p>"),
        ("<a href=https://x.example/?e={EAddr}>x</a>", '<a href="https://x.example/?e=ann@north.example">x</a>'),
        ("<!--[if mso]><p>{UserName}</p><![endif]-->", "<!--[if mso]><p>Ann &amp; Bob</p><![endif]-->"),
        ("<p title='{{{UserName}}}'>x</p>", '<p title="{Ann &amp; Bob}">x</p>'),
        ("variable <p>{UserName}", "variable <p>Ann &amp; Bob</p>"),
    ],
)
def test_what_is_sent_says_what_was_written(html, body):
    assert body in rendered(html)


def test_style_that_is_no_css_leaves_the_body_as_it_is():
    html = rendering.prepare_html("<style>p{color:red}</style><p style='x'>Hi</p>")

    assert '<style>p{color:red}</style></head><body><p style="x">Hi</p>' in html


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<div>" * 100_000, id="ends the stack of whoever reads it"),
        pytest.param("<p>" + "".join(f"<b id={n}>" for n in range(3000)) + "</p>" + "<p>x" * 100_000, id="multiplies"),
        pytest.param("<style>" + "p{color:red}" * 40_000 + "</style>" + "<p>x" * 10_000, id="styles times elements"),
    ],
)
def test_html_made_to_exhaust_its_reader_is_refused(html):
    with pytest.raises(NotPreparable):
        rendering.prepare_html(html)


def test_nothing_is_fetched():
    asked = []

    class Target(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Target) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        rendering.prepare_html(
            f'<link rel="stylesheet" href="{address}/a.css"><style>@import url({address}/b.css);'
            f'p{{background:url({address}/c.png)}}</style><img src="{address}/d.png"><p>Hi</p>'
        )
        server.shutdown()
        thread.join()

    assert asked == []


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Dear {UserName}</p>", "Dear {UserName}"),
        ("<p>{{ &#123; }}</p>", "{{ {{ }}"),
        ('<p><a href="https://x.example/{EAddr}">you</a></p>', "you (https://x.example/{EAddr})"),
        ("<style>p{x:y}</style><p>Hi</p>", "Hi"),
        ('<p>style="{x}"</p>', 'style="{{x}}"'),
    ],
)
def test_text_is_derived(html, text):
    assert rendering.derive_text(html) == text


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_derived_text_can_always_be_sent(text):
    derived = rendering.derive_text(compiling.quoted(f"<p>{text}</p>{{UserName}}", is_html=True))

    rendering.compile(derived, escape=False)


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("{}<>&;/!-\"'= apstyle#123"), max_size=80))
def test_prepared_html_can_always_be_sent(text):
    prepared = rendering.prepare_html(compiling.quoted(text, is_html=True))

    rendering.compile(prepared, escape=True)

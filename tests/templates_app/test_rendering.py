import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app import rendering
from templates_app.rendering import BadTemplate

VALUES = {"UserName": "Ann", "EAddr": "ann@north.example"}
WITHOUT_BRACES = st.text().filter(lambda text: not set(text) & set("{}"))


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("Hello {UserName}!", "Hello Ann!"),
        ("{UserName}{EAddr}", "Annann@north.example"),
        ("{Mobile}", ""),
        ("{Birth}|{Birthday}", "|"),
        ("{{UserName}}", "{UserName}"),
        ("100 %", "100 %"),
        ("", ""),
    ],
)
def test_text_is_rendered(source, rendered):
    assert rendering.compile(source, escape=False).render(VALUES) == rendered


@pytest.mark.parametrize(
    "zone",
    [
        "<style>p { color: red } @media (max-width: 9em) { p { a: b }}</style>",
        '<p style="x: {y}">',
        "<!-- {anything} -->",
        "<STYLE type='text/css'>a{b:c}</STYLE >",
    ],
)
def test_braces_of_css_and_comments_are_literal(zone):
    assert rendering.compile(f"{zone}{{UserName}}", escape=True).render(VALUES) == f"{zone}Ann"


@pytest.mark.parametrize(
    ("source", "kind", "text", "place"),
    [
        ("a {Name} b", "unknown_variable", "Name", (1, 3)),
        ("line\nsay { or", "stray_brace", "{", (2, 5)),
        ("a } b", "stray_brace", "}", (1, 3)),
        ("{ UserName }", "stray_brace", "{", (1, 1)),
        ("{User Name}", "stray_brace", "{", (1, 1)),
        ("{{UserName}", "stray_brace", "}", (1, 11)),
        ("{user.password}", "stray_brace", "{", (1, 1)),
    ],
)
def test_mistakes_say_where(source, kind, text, place):
    with pytest.raises(BadTemplate) as raised:
        rendering.compile(source, escape=False)

    mistake = raised.value.mistakes[0]
    assert (mistake.kind, mistake.text, (mistake.line, mistake.column)) == (kind, text, place)


@given(st.text())
def test_doubled_braces_show_any_text_as_it_is(text):
    source = text.replace("{", "{{").replace("}", "}}")

    assert rendering.compile(source, escape=False).render(VALUES) == text


@given(before=WITHOUT_BRACES, value=st.text(), after=WITHOUT_BRACES)
def test_value_stands_between_its_neighbours(before, value, after):
    compiled = rendering.compile(f"{before}{{UserName}}{after}", escape=False)

    assert compiled.render({"UserName": value}) == before + value + after


@given(st.text())
def test_value_cannot_leave_its_place_in_html(value):
    compiled = rendering.compile('<p title="{UserName}">{UserName}</p>', escape=True)

    rendered = compiled.render({"UserName": value})

    assert rendered.count("<") == rendered.count(">") == 2
    assert rendered.count('"') == 2


@given(st.text())
def test_subject_stays_on_one_line(value):
    rendered = rendering.one_line(rendering.compile("Hi {UserName}", escape=False).render({"UserName": value}))

    assert not set(rendered) & set("\r\n\0\x85\u2028\u2029")


def test_styles_are_inlined_and_media_queries_kept():
    html = rendering.prepare_html("<style>p{color:red} @media print{p{color:blue}}</style><p>{UserName}</p>")

    assert '<p style="color: red;">{UserName}</p>' in html
    assert "@media print" in html


def test_nothing_is_fetched_for_a_preview():
    html = rendering.prepare_html('<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><p>Hi</p>')

    assert "<p>Hi</p>" in html

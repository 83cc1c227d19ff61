import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.variables import VARIABLES
from templates_app import rendering
from templates_app.rendering import BadTemplate
from templates_app.rendering.compiling import quoted

VALUES = {"UserName": "Ann", "EAddr": "ann@north.example"}
WITHOUT_BRACES = st.text().filter(lambda text: not set(text) & set("{}"))
# What zones begin and end with, broken in every way.
NEARLY_HTML = st.lists(
    st.sampled_from(["{", "}", "<!--", "-->", "<style", ">", "</style>", ' style="', '"', " style='", "'", "a", "\n"])
).map("".join)
INJECTIONS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "--><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "{EAddr}",
    "}}{{",
    "a\r\nBcc: someone@else.example",
    "&lt;b&gt;",
]


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("Hello {UserName}!", "Hello Ann!"),
        ("{UserName}{EAddr}", "Annann@north.example"),
        ("{Mobile}", ""),
        ("{Birth}|{Birthday}", "|"),
        ("{{UserName}}", "{UserName}"),
        ("{{{UserName}}}", "{Ann}"),
        ("100 %", "100 %"),
        ("", ""),
    ],
)
def test_text_is_rendered(source, rendered):
    assert rendering.compile(source, escape=False).render(VALUES) == rendered


def test_variables_are_known_by_their_first_name():
    compiled = rendering.compile("{Birth} {EAddr} {EAddr}", escape=False)

    assert compiled.variables == {"Birthday", "EAddr"}
    assert compiled.render({"Birthday": "1990/1/1"}) == "1990/1/1  "


@pytest.mark.parametrize(("allowed", "rendered"), [(None, "Tom"), ({"First"}, "Tom")])
def test_other_names_are_variables_where_they_are_allowed(allowed, rendered):
    assert rendering.compile("{First}", escape=False, allowed=allowed).render({"First": "Tom"}) == rendered


@pytest.mark.parametrize(
    "zone",
    [
        "<style>p { color: red } @media (max-width: 9em) { p { a: b }}</style>",
        '<p style="x: {y}">',
        "<p style = 'x: {y}'>",
        "<!-- {anything} -->",
        "<STYLE type='text/css'>a{b:c}</STYLE >",
        "<!--[if mso]><style>p{x:y}</style><![endif]-->",
    ],
)
def test_braces_of_css_and_comments_are_literal(zone):
    assert rendering.compile(f"{zone}{{UserName}}", escape=True).render(VALUES) == f"{zone}Ann"


def test_variable_in_a_comment_for_outlook_is_one():
    source = "<!--[if mso]>{UserName}<![endif]-->"

    assert rendering.compile(source, escape=True).render(VALUES) == "<!--[if mso]>Ann<![endif]-->"


def test_braces_are_checked_again_after_css():
    with pytest.raises(BadTemplate) as raised:
        rendering.compile("<style>p{x:y}</style><p>{</p>", escape=True)

    assert raised.value.mistakes[0].column == 25


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
        ("{username}", "unknown_variable", "username", (1, 1)),
        ("{}", "stray_brace", "{", (1, 1)),
        ("p { color: red }", "stray_brace", "{", (1, 3)),
    ],
)
def test_mistakes_say_where(source, kind, text, place):
    with pytest.raises(BadTemplate) as raised:
        rendering.compile(source, escape=False, allowed=VARIABLES)

    mistake = raised.value.mistakes[0]
    assert (mistake.kind, mistake.text, (mistake.line, mistake.column)) == (kind, text, place)


def test_mistakes_show_what_stands_around_them():
    with pytest.raises(BadTemplate) as raised:
        rendering.compile("first\nthe price is { 3 euro", escape=False)

    assert raised.value.mistakes[0].around == "first the price is { 3 euro"


def test_only_the_first_mistakes_are_told():
    with pytest.raises(BadTemplate) as raised:
        rendering.compile("{ " * 500_000, escape=False)

    assert len(raised.value.mistakes) == 10


@given(st.text())
def test_doubled_braces_show_any_text_as_it_is(text):
    source = text.replace("{", "{{").replace("}", "}}")

    assert rendering.compile(source, escape=False).render(VALUES) == text


@given(NEARLY_HTML)
def test_quoted_html_shows_as_it_is(text):
    assert rendering.compile(quoted(text, is_html=True), escape=True).render(VALUES) == text


@given(NEARLY_HTML | st.text())
def test_any_source_compiles_or_says_where_it_does_not(source):
    mistakes = []
    try:
        rendering.compile(source, escape=True)
    except BadTemplate as problem:
        mistakes = problem.mistakes

    lines = source.split("\n")
    assert all(lines[mistake.line - 1][mistake.column - 1] in "{}" for mistake in mistakes)


@given(before=WITHOUT_BRACES, value=st.text(), after=WITHOUT_BRACES)
def test_value_stands_between_its_neighbours(before, value, after):
    compiled = rendering.compile(f"{before}{{UserName}}{after}", escape=False)

    assert compiled.render({"UserName": value}) == before + value + after


@given(st.text() | st.sampled_from(INJECTIONS))
def test_value_cannot_leave_its_place_in_html(value):
    compiled = rendering.compile('<p title="{UserName}">{UserName}</p><!--{UserName}-->', escape=True)

    rendered = compiled.render({"UserName": value})

    assert rendered.count("<") == rendered.count(">") == 3
    assert rendered.count('"') == 2
    assert "'" not in rendered


@given(st.text() | st.sampled_from(INJECTIONS))
def test_value_in_text_is_what_it_was(value):
    assert rendering.compile("{UserName}", escape=False).render({"UserName": value}) == value


@given(st.text() | st.sampled_from(INJECTIONS))
def test_subject_stays_on_one_line(value):
    rendered = rendering.one_line(rendering.compile("Hi {UserName}", escape=False).render({"UserName": value}))

    assert not set(rendered) & set("\r\n\0\x85\u2028\u2029")
    assert rendered.startswith("Hi")

import pytest

from templates_app import hygiene, rendering


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<script>alert(1)</script>", ["<script>"]),
        ("<SCRIPT SRC=//x.example/x></SCRIPT>", ["<script>"]),
        ("<form action=https://x.example><input name=a></form>", ["<form>", "<input>"]),
        ("<iframe src=https://x.example></iframe>", ["<iframe>"]),
        ("<object data=x></object><embed src=x>", ["<object>", "<embed>"]),
        ("<p onclick=alert(1)>x</p>", ["onclick="]),
        ("<img src=x alt='' ONERROR=alert(1)>", ["onerror="]),
        ("<svg/onload=alert(1)>", ["<svg>", "onload="]),
        ("<a href=javascript:alert(1)>x</a>", ['href="javascript:alert(1)"']),
        ("<a href='  JaVaScript:alert(1)'>x</a>", ['href="  JaVaScript:alert(1)"']),
        ("<a href='java\tscript:alert(1)'>x</a>", ['href="java\tscript:alert(1)"']),
        ("<a href='&#106;avascript:alert(1)'>x</a>", ['href="javascript:alert(1)"']),
        ("<a href='vbscript:x'>x</a>", ['href="vbscript:x"']),
        ("<a href='data:text/html,x'>x</a>", ['href="data:text/html,x"']),
        ("<link rel=stylesheet href=https://x.example/x.css>", ["<link>"]),
        ("<base href=https://x.example>", ["<base>"]),
        ("<meta http-equiv=Refresh content='0;url=https://x.example'>", ["<meta>"]),
        ("<p {UserName}>x</p>", ["{username}="]),
        ("<a{UserName}>x", ["<a{username}>"]),
        ("<{UserName}>x", ["<{…}>"]),
        ("<!--><script>alert(1)</script>-->", ["<script>"]),
        ("<!-- --!><script>alert(1)</script>", ["<script>"]),
        ("<p onclick=a><p onclick=b>", ["onclick="]),
        ("<p>ordinary</p>", []),
        ("<a href='https://x.example/a:b?c=javascript:x'>x</a>", []),
        ("<a href='mailto:a@x.example'>x</a><a href='tel:+44'>x</a><a href='#top'>x</a>", []),
        ("<img src='data:image/png;base64,AAAA' alt=''>", []),
        ("<a href='https://x.example/{EAddr}'>x</a>", []),
        ("<p style='color:red' class=on>on = x</p>", []),
        ("<meta name=viewport content='width=device-width'>", []),
        ("<!-- <script>a comment</script> -->", []),
    ],
)
def test_what_mail_readers_remove_is_found(html, found):
    assert hygiene.problems(rendering.prepare_html(html)) == found


def test_only_the_first_problems_are_told():
    html = "".join(f"<p on{name}=x>" for name in "abcdefghijkl")

    assert len(hygiene.problems(html)) == hygiene.MOST_FOUND


@pytest.mark.parametrize("depth", [200, 300])
def test_nesting_has_a_limit(depth):
    html = "<div>" * depth + "<br>" * 1000 + "</div>" * depth

    if depth > hygiene.DEEPEST:
        with pytest.raises(hygiene.TooDeep):
            hygiene.problems(html)
    else:
        assert hygiene.problems(html) == []

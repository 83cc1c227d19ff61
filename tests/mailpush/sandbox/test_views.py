"""The sandbox's pages."""

import pytest

from mailpush.sandbox.world import Mail, Record, World

pytestmark = pytest.mark.django_db

RAW = (
    b"From: shop@x.example\r\nTo: jane@y.example\r\nSubject: Confirm\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\n"
    b"Open https://x.example/confirm?a=1&b=2. Thanks <script>alert(1)</script>\r\n"
    b'--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p><a href="https://x.example/html">Go <b>on</b></a>'
    b'<a href="javascript:alert(1)">bad</a></p>\r\n--b--\r\n'
)


@pytest.fixture
def world(settings, tmp_path):
    from mailpush.places import Places

    settings.PLACES = Places(tmp_path)
    return World(settings.PLACES.sandbox)


@pytest.fixture
def mail(world):
    world.capture([Mail(1_790_000_000.0, "r@x.example", "jane@y.example", "Confirm", "127.0.0.1", True, len(RAW), RAW)])
    return world.mails()[0]


def test_inbox_shows_mails_before_login(client, mail):
    page = client.get("/console/sandbox/", headers={"host": "localhost"})

    assert page.status_code == 200
    assert "jane@y.example" in page.content.decode()


def test_inbox_refresh_is_the_table_alone(client, mail):
    page = client.get("/console/sandbox/?q=jane", headers={"host": "localhost", "hx-request": "true"})

    assert "jane@y.example" in page.content.decode()
    assert "<html" not in page.content.decode()


def test_search_without_result_says_so(client, mail):
    page = client.get("/console/sandbox/?q=nobody", headers={"host": "localhost"}).content.decode()

    assert "jane@y.example" not in page
    assert "No mail matches" in page


def test_mail_shows_text_safely_with_its_links(client, mail):
    page = client.get(f"/console/sandbox/{mail.id}/", headers={"host": "localhost"}).content.decode()

    assert 'href="https://x.example/confirm?a=1&amp;b=2"' in page
    assert 'href="https://x.example/html"' in page
    assert "Go on" in page
    assert "javascript:alert" not in page
    assert "<script>alert" not in page


def test_html_part_may_do_nothing(client, mail):
    answer = client.get(f"/console/sandbox/{mail.id}/html", headers={"host": "localhost"})

    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert b"<b>on</b>" in answer.content


def test_who_reads_tracked_mail_here_is_its_reader(client, world, settings):
    """The visitor's browser does not ask the sandbox's DNS, so links and pixel lead to a host that it knows."""
    raw = (
        b"Subject: x\r\nContent-Type: text/html\r\n\r\n"
        b'<a href="http://track.x.example:8000/t/ab/cd">Go</a><a href="http://track.x.example/u/t/">Else</a>'
        b'<img src="http://track.x.example:8000/t/ab.gif">\r\n'
    )
    world.capture([Mail(1_790_000_000.0, "r@x.example", "jane@y.example", "x", "127.0.0.1", True, len(raw), raw)])
    found = world.mails()[0]
    ours = settings.MAILPUSH_PUBLIC_URL

    page = client.get(f"/console/sandbox/{found.id}/", headers={"host": "localhost"})
    frame = client.get(f"/console/sandbox/{found.id}/html", headers={"host": "localhost"})

    assert [link.url for link in page.context["links"]] == [f"{ours}/t/ab/cd", "http://track.x.example/u/t/"]
    assert f'<img src="{ours}/t/ab.gif">' in frame.content.decode()
    assert f"img-src data: {ours}/t/;" in frame["Content-Security-Policy"]


def test_source_is_a_download(client, mail):
    answer = client.get(f"/console/sandbox/{mail.id}/source", headers={"host": "localhost"})

    assert answer.content == RAW
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_records_are_published_and_removed(client, world):
    record = {"name": "_dmarc.x.example", "type": "TXT", "value": "v=DMARC1; p=none"}

    client.post("/console/sandbox/dns/publish", record, headers={"host": "localhost"})
    published = world.records()
    page = client.get("/console/sandbox/dns/", headers={"host": "localhost"}).content.decode()
    client.post("/console/sandbox/dns/withdraw", record, headers={"host": "localhost"})

    assert published == [Record("_dmarc.x.example", "TXT", "v=DMARC1; p=none")]
    assert "v=DMARC1; p=none" in page
    assert 'data-confirm="Remove the TXT record of _dmarc.x.example?' in page
    assert world.records() == []


def test_a_bad_record_is_refused_with_a_sentence(client, world):
    record = {"name": "x.example", "type": "A", "value": "nonsense"}

    page = client.post("/console/sandbox/dns/publish", record, headers={"host": "localhost"}, follow=True)

    assert "is no value for a A record" in page.content.decode() or "nonsense" in page.content.decode()
    assert world.records() == []


@pytest.mark.parametrize("path", ["", "1/", "1/html", "1/source", "dns/"])
def test_strangers_and_other_modes_see_nothing(client, mail, settings, path):
    url = f"/console/sandbox/{path}"

    assert client.get(url, headers={"host": "localhost"}, REMOTE_ADDR="192.0.2.1").status_code == 404
    assert client.get(url, headers={"host": "localhost", "x-forwarded-for": "192.0.2.1"}).status_code == 404
    settings.MAILPUSH_DELIVERY = "mx"
    assert client.get(url, headers={"host": "localhost"}).status_code == 404


def test_unknown_mail_is_not_found(client, world):
    assert client.get("/console/sandbox/99/", headers={"host": "localhost"}).status_code == 404

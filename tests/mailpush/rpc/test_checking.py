"""The signature checker: it names the mistake."""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import pytest

from mailpush.rpc import checking, signatures
from tests.mailpush.rpc.conftest import SECRET
from tests.mailpush.rpc.test_door import v3

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(api):
    def report(text, *, own="", account=None):
        return checking.report(text, own=own, account=account or api.account, now=datetime.now(UTC))

    return report


def pasted(signed, method="POST"):
    return f"{method} /?{urlencode(signed)} HTTP/1.1\nHost: dm.example.net\n\n"


def resigned(signed, text, secret=SECRET):
    return {**signed, "Signature": signatures.v1_signature(text, secret)}


def test_a_good_signature_fits(api, report):
    signed = api.signed("CreateTag", TagName="a b*~")

    found = report(pasted(signed))

    assert (found.fits, found.findings) == (True, [])
    assert found.string_to_sign == signatures.v1_string_to_sign("POST", signed.items())


def test_parameters_of_a_form_count(api, report):
    signed = api.signed("CreateTag", TagName="a b*~")

    assert report(f"POST / HTTP/1.1\r\nHost: x\r\n\r\n{urlencode(signed)}").fits
    assert report(f"POST https://dm.example.net/?{urlencode(signed)}").fits


def test_any_request_line_is_read_or_refused(report):
    assert "MissingVersion" in report("GET /路?Action=x").findings[0]
    with pytest.raises(checking.NotARequest):
        report("GET http://[dm.example.net/ HTTP/1.1")


PARAMETERS = {"TagName": "a b*c~d(e)/f", "Empty": ""}


def v1(pairs, encode=signatures.percent, method="POST"):
    return f"{method}&%2F&{encode('&'.join(f'{encode(name)}={encode(value)}' for name, value in pairs))}"


MISTAKES = {
    "the other HTTP method": lambda pairs: v1(sorted(pairs), method="GET"),
    "Empty parameters": lambda pairs: v1(sorted(pair for pair in pairs if pair[1])),
    "Spaces were encoded": lambda pairs: v1(sorted(pairs), lambda text: signatures.percent(text).replace("%20", "+")),
    "“*” was not encoded": lambda pairs: v1(sorted(pairs), lambda text: quote(text, safe="-_.~*")),
    "“~” was encoded": lambda pairs: v1(sorted(pairs), lambda text: signatures.percent(text).replace("~", "%7E")),
    "“/” was not encoded": lambda pairs: v1(sorted(pairs), lambda text: quote(text, safe="-_.~/")),
    "not sorted": v1,
    "encoded once more": lambda pairs: f"POST&%2F&{signatures.canonical_query(pairs)}",
}


@pytest.mark.parametrize("sentence", list(MISTAKES))
def test_the_mistake_of_a_v1_signature_is_named(api, report, sentence):
    signed = api.signed("CreateTag", **PARAMETERS)
    pairs = [(name, value) for name, value in signed.items() if name != "Signature"]

    found = report(pasted(resigned(signed, MISTAKES[sentence](pairs))))

    assert not found.fits
    assert any(sentence in finding for finding in found.findings), found.findings


def test_a_key_without_its_ampersand_is_named(api, report):
    signed = api.signed("GetUser")
    text = signatures.v1_string_to_sign("POST", signed.items())
    signed["Signature"] = signatures.v1_signature(text, SECRET, ending="")

    assert "“&”" in report(pasted(signed)).findings[0]


def test_a_form_that_was_not_signed_is_named(api, report):
    signed = api.signed("CreateTag")

    found = report(f"POST /?{urlencode(signed)} HTTP/1.1\n\nTagName=codes")

    assert found.findings == ["The parameters in the form body were not signed."]


def test_the_first_difference_of_the_strings_is_shown(api, report):
    signed = api.signed("CreateTag", TagName="codes", secret="another")
    own = signatures.v1_string_to_sign("POST", {**signed, "TagName": "other"}.items())

    found = report(pasted(signed), own=own)
    assert "Yours: “" in found.findings[0]
    assert "other" in found.findings[0]

    same = report(pasted(signed), own=signatures.v1_string_to_sign("POST", signed.items()))
    assert same.findings == [
        "Your string is ours, so the secret is another one, or the wrong key or algorithm was used with it."
    ]


def test_without_any_hint_it_is_the_secret(api, report):
    assert report(pasted(api.signed("GetUser", secret="another"))).findings == [
        "The secret is another one, or the request was changed after it was signed."
    ]


def test_clock_key_and_method_are_looked_at(api, report, foreign_api):
    assert "15 minutes" in report(pasted(api.signed("GetUser", Timestamp="2020-01-01T00:00:00Z"))).findings[0]
    assert "written like" in report(pasted(api.signed("GetUser", Timestamp="now"))).findings[0]
    assert "HMAC-SHA1" in report(pasted(api.signed("GetUser", SignatureMethod="MD5"))).findings[0]
    assert "none of this account" in report(pasted(foreign_api.signed("GetUser"))).findings[0]
    api.key.is_active = False
    api.key.save()
    assert "disabled" in report(pasted(api.signed("GetUser"))).findings[0]
    assert report(pasted(api.signed("GetUser", Version=None))).findings == [
        "MissingVersion: Version is mandatory for this action."
    ]


def pasted_v3(headers, query="", body=""):
    lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return f"POST /?{query} HTTP/1.1\n{lines}\n{body}"


def test_v3_fits_or_names_its_mistake(api, report):
    headers = v3(api, "CreateTag", body=b"TagName=codes", host="dm.example.net:8000")
    found = report(pasted_v3(headers, body="TagName=codes"))
    assert (found.fits, found.findings) == (True, [])
    assert found.canonical_request.startswith("POST\n/\n\nhost:dm.example.net:8000\n")

    assert "not the hash" in report(pasted_v3(headers, body="TagName=other")).findings[0]
    assert "query string was not signed" in report(pasted_v3(headers, "A=1", "TagName=codes")).findings[0]
    behind = v3(api, "CreateTag", host="dm.example.net") | {"host": "dm.example.net:8000"}
    assert "port" in report(pasted_v3(behind)).findings[0]
    wrong = v3(api, "CreateTag", secret=f"{SECRET}&")
    assert "without “&”" in report(pasted_v3(wrong)).findings[0]
    other = v3(api, "CreateTag", algorithm="ACS3-HMAC-SM3")
    other["authorization"] = other["authorization"].replace("SM3", "MD5")
    assert "algorithm" in report(pasted_v3(other)).findings[0]


def test_what_is_no_request_is_said_to_be_none(report):
    with pytest.raises(checking.NotARequest):
        report("hello")


def test_the_page_shows_what_was_found(api, owner_client):
    page = owner_client.get("/console/api/signature-checker/")
    assert "Nothing checked yet" in page.content.decode()

    fits = owner_client.post("/console/api/signature-checker/", {"request": pasted(api.signed("GetUser"))})
    assert "The signature fits" in fits.content.decode()

    wrong = owner_client.post(
        "/console/api/signature-checker/", {"request": pasted(api.signed("GetUser", secret="x")), "own": "<b>"}
    )
    shown = wrong.content.decode()
    assert "The signature does not fit" in shown
    assert "<b>" not in shown
    assert SECRET not in shown

    none = owner_client.post("/console/api/signature-checker/", {"request": "hello"})
    assert "Begin with the request line" in none.content.decode()


def test_the_page_is_for_members(client):
    assert client.get("/console/api/signature-checker/").status_code == 302

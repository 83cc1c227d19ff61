"""The protocol: who is let in, and how everything that is wrong is told."""

import json
import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from django.db import DatabaseError
from django.test import Client

from accounts.models import Role
from mailpush.rpc import authentication, limits, registry, signatures, wire
from mailpush.rpc.limits import Limit
from mailpush.rpc.models import OperationLimit
from tests.factories import AccessKeyFactory, TagFactory
from tests.mailpush.rpc.conftest import SECRET, Api

pytestmark = pytest.mark.django_db


def code(response):
    return response.json()["Code"]


# What is accepted


def test_an_answer_is_flat_and_has_its_request_id_twice(api):
    response = api.send("CreateTag", TagName="codes")

    assert response.headers["Content-Type"] == "application/json;charset=utf-8"
    body = response.json()
    assert set(body) == {"RequestId", "TagId"}
    assert body["RequestId"] == body["RequestId"].upper() == response.headers["x-acs-request-id"]
    assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_parameters_may_stand_in_the_query(api, method):
    assert api.send("GetIpProtection", method=method).json()["IpProtection"] == "0"


def test_parameters_may_stand_in_the_form(api):
    body = urlencode(api.signed("GetIpProtection"))

    response = api.client.post("/", body, content_type="application/x-www-form-urlencoded; charset=utf-8")

    assert response.json()["IpProtection"] == "0"


def test_parameters_may_stand_in_both(api):
    signed = api.signed("CreateTag", TagName="a b*~你好😀")
    form = {"TagName": signed.pop("TagName")}

    response = api.client.post(f"/?{urlencode(signed)}", urlencode(form), content_type=wire.FORM)

    assert code(response) == "InvalidTagName.Malformed"  # so the signature has fitted


@pytest.mark.parametrize("version", sorted(registry.VERSIONS))
def test_versions_of_all_regions_are_the_same(api, version):
    assert api("GetIpProtection", Version=version)["IpProtection"] == "0"


def test_sha256_and_fractions_of_a_second_are_taken(api):
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.973Z}"
    signed = api.signed("GetIpProtection", SignatureMethod="HMAC-SHA256", Timestamp=at)
    signed.pop("Signature")
    text = signatures.v1_string_to_sign("GET", signed.items())
    signed["Signature"] = signatures.v1_signature(text, SECRET, method="HMAC-SHA256")

    assert api.client.get(f"/?{urlencode(signed)}").status_code == 200


def v3(api, action, *, query=(), body=b"", algorithm=signatures.V3_SHA256, secret=SECRET, unsigned=(), **headers):
    """Return what the test client sends for a call signed by V3."""
    headers = {
        "host": "testserver",
        "x-acs-action": action,
        "x-acs-version": "2015-11-23",
        "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": f"{datetime.now(UTC).timestamp()}",
        "x-acs-content-sha256": signatures.v3_hash(algorithm, body),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    names = [name for name in headers if name not in unsigned]
    request = signatures.v3_canonical_request("POST", query, headers, names, headers["x-acs-content-sha256"])
    signature = signatures.v3_signature(algorithm, signatures.v3_string_to_sign(algorithm, request), secret)
    proof = f"{algorithm} Credential={api.key.key_id},SignedHeaders={';'.join(sorted(names))},Signature={signature}"
    return {**headers, "authorization": proof}


def post_v3(api, headers, *, query="", body=b""):
    return api.client.post(f"/?{query}", body, content_type=wire.FORM, headers=headers)


@pytest.mark.parametrize("algorithm", [signatures.V3_SHA256, signatures.V3_SM3])
def test_v3_is_answered_in_json(api, algorithm):
    body = b"TagName=codes"

    response = post_v3(api, v3(api, "CreateTag", body=body, algorithm=algorithm), body=body)

    assert response.status_code == 200, response.content
    assert "TagId" in response.json()


# XML


def test_without_a_format_the_answer_is_xml(api):
    TagFactory(account=api.account, name="a&b")
    TagFactory(account=api.account, name="codes")

    response = api.send("QueryTagByParam", Format=None)

    assert response.headers["Content-Type"] == "text/xml;charset=utf-8"
    root = ET.fromstring(response.content)
    assert root.tag == "QueryTagByParamResponse"
    assert [name.text for name in root.findall("data/tag/TagName")] == ["codes", "a&b"]


def test_errors_in_xml_have_the_same_parts(api):
    response = api.send("DeleteTag", Format="XML", TagId=1)

    root = ET.fromstring(response.content)
    assert (root.tag, root.findtext("Code")) == ("Error", "InvalidTag.NotFound")
    assert {child.tag for child in root} == {"RequestId", "HostId", "Code", "Message", "Recommend"}


def test_what_xml_cannot_carry_is_left_out(api):
    assert ET.fromstring(api.send("DeleteTag", Format="XML", TagId="\x01x").content).findtext("Message")


@pytest.mark.parametrize("wanted", ["None", "json"])
def test_old_clients_without_a_format_get_json(api, wanted):
    assert api.send("GetIpProtection", Format=wanted).json()["IpProtection"] == "0"


def test_another_format_is_refused(api):
    assert api.send("GetIpProtection", Format="YAML").status_code == 400


# Who is not let in


def test_a_wrong_secret_shows_the_string_to_sign(api):
    signed = api.signed("GetIpProtection", secret="another")

    response = api.client.post(f"/?{urlencode(signed)}")

    assert (response.status_code, code(response)) == (400, "SignatureDoesNotMatch")
    # The Python core SDK compares what stands behind the colon with its own.
    assert response.json()["Message"].split(":")[1] == signatures.v1_string_to_sign("POST", signed.items())
    assert "/console/api/signature-checker/" in response.json()["Recommend"]


@pytest.mark.parametrize("changed", [{"TagName": "other"}, {"AccessKeyId": "x"}, {"More": "1"}])
def test_a_changed_parameter_is_noticed(api, changed):
    signed = {**api.signed("CreateTag", TagName="codes"), **changed}

    assert code(api.client.post(f"/?{urlencode(signed)}")) in {"SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound"}


def test_the_method_is_signed(api):
    assert (
        code(api.client.get(f"/?{urlencode(api.signed('GetIpProtection', method='POST'))}")) == "SignatureDoesNotMatch"
    )


def test_v1_believes_no_header(api):
    signed = api.signed("GetIpProtection")

    response = api.client.post(f"/?{urlencode(signed)}", headers={"x-acs-action": "CreateTag"})

    assert "IpProtection" in response.json()


def test_the_same_call_twice_is_refused(api):
    signed = urlencode(api.signed("GetIpProtection"))
    assert api.client.post(f"/?{signed}").status_code == 200

    again = api.client.post(f"/?{signed}")

    assert (again.status_code, code(again)) == (400, "SignatureNonceUsed")


def test_a_call_that_was_not_proved_uses_no_nonce_up(api):
    signed = api.signed("GetIpProtection", SignatureNonce="n")
    assert api.client.post(f"/?{urlencode({**signed, 'Signature': 'x'})}").status_code == 400

    assert api.client.post(f"/?{urlencode(signed)}").status_code == 200


def test_nonces_of_two_keys_are_two(api, foreign_api):
    assert api("GetIpProtection", SignatureNonce="n")
    assert foreign_api("GetIpProtection", SignatureNonce="n")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_stale_time_stamp_is_refused(api, minutes):
    at = datetime.now(UTC) + timedelta(minutes=minutes)

    assert api.refusal("GetIpProtection", Timestamp=f"{at:%Y-%m-%dT%H:%M:%SZ}") == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-11-26 09:30:00", "2026-13-01T00:00:00Z", "2026-11-26T09:30:00+08:00"]
)
def test_a_malformed_time_stamp_is_refused(api, at):
    assert api.refusal("GetIpProtection", Timestamp=at) == "InvalidTimeStamp.Format"


@pytest.mark.parametrize("nonce", ["x" * 129])
def test_a_nonce_is_bounded(api, nonce):
    assert api.refusal("GetIpProtection", SignatureNonce=nonce) == "InvalidSignatureNonce"


def test_an_unknown_key_is_not_found(api):
    response = api.send("GetIpProtection", AccessKeyId="MP0\0")

    assert (response.status_code, code(response)) == (404, "InvalidAccessKeyId.NotFound")


def test_a_disabled_key_is_said_to_be_so_to_its_owner_alone(api):
    api.key.is_active = False
    api.key.save()

    assert api.refusal("GetIpProtection") == "InvalidAccessKeyId.Inactive"
    signed = api.signed("GetIpProtection", secret="guess")
    assert code(api.client.post(f"/?{urlencode(signed)}")) == "SignatureDoesNotMatch"


def test_another_signature_method_is_refused(api):
    assert api.refusal("GetIpProtection", SignatureMethod="HMAC-MD5") == "InvalidSignatureMethod"
    headers = v3(api, "GetIpProtection")
    headers["authorization"] = headers["authorization"].replace("SHA256 ", "SHA1 ")
    assert code(post_v3(api, headers)) == "InvalidSignatureMethod"


@pytest.mark.parametrize("name", ["Action", "Version", "AccessKeyId", "Timestamp", "SignatureNonce", "SignatureMethod"])
def test_what_is_missing_is_named(api, name):
    assert api.refusal("GetIpProtection", **{name: None}) == f"Missing{name}"


def test_a_parameter_given_twice_is_refused(api):
    signed = urlencode(api.signed("CreateTag", TagName="codes"))

    assert code(api.client.post(f"/?{signed}&TagName=other")) == "InvalidParameter.Duplicate"
    response = api.client.post(f"/?{signed}", "TagName=other", content_type=wire.FORM)
    assert code(response) == "InvalidParameter.Duplicate"


def test_v3_notices_a_changed_body_query_and_header(api):
    headers = v3(api, "CreateTag", body=b"TagName=codes")
    assert code(post_v3(api, headers, body=b"TagName=other")) == "SignatureDoesNotMatch"
    assert code(post_v3(api, headers, body=b"TagName=codes", query="More=1")) == "SignatureDoesNotMatch"
    assert (
        code(post_v3(api, {**headers, "x-acs-action": "DeleteTag"}, body=b"TagName=codes")) == "SignatureDoesNotMatch"
    )
    headers["x-acs-content-sha256"] = signatures.v3_hash(signatures.V3_SHA256, b"TagName=other")
    assert code(post_v3(api, headers, body=b"TagName=codes")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", sorted(signatures.V3_MUST_SIGN))
def test_v3_must_sign_what_decides(api, name):
    assert code(post_v3(api, v3(api, "GetIpProtection", unsigned=[name]))) == "IncompleteSignature"


def test_two_signatures_are_one_too_many(api):
    query = {"Signature": "x"}

    response = post_v3(api, v3(api, "GetIpProtection", query=query.items()), query=urlencode(query))

    assert code(response) == "IncompleteSignature"


def test_a_malformed_authorization_is_refused(api):
    assert code(post_v3(api, {"authorization": "ACS3-HMAC-SHA256 nonsense"})) == "IncompleteSignature"


def test_who_guesses_is_not_told_why_any_more(api, monkeypatch):
    monkeypatch.setattr(limits, "FAILURES", 2)
    wrong = [api.client.post(f"/?{urlencode(api.signed('GetIpProtection', secret='x'))}") for _ in range(3)]

    assert [code(response) for response in wrong] == ["SignatureDoesNotMatch"] * 2 + ["Throttling.User"]
    assert api("GetIpProtection")  # who proves it is let in


# Limits


def test_an_operation_called_too_often_says_when_to_come_again(api):
    OperationLimit.objects.create(account=api.account, operation="GetIpProtection", calls=2, seconds=60)
    assert [api.send("GetIpProtection").status_code for _ in range(2)] == [200, 200]

    response = api.send("GetIpProtection")

    assert (response.status_code, code(response)) == (400, "Throttling.User")
    assert 0 < int(response.headers["x-acs-retry-after"]) <= 30_000
    assert api("GetUser")  # another operation has another limit


def test_limits_are_those_of_an_account(api, foreign_api):
    OperationLimit.objects.create(account=api.account, calls=1, seconds=60)
    assert api("GetUser")

    assert api.refusal("GetUser") == "Throttling.User"
    assert foreign_api("GetUser")
    assert foreign_api("GetUser")


def test_all_keys_of_an_account_share_its_limits(api):
    OperationLimit.objects.create(account=api.account, operation="GetUser", calls=1, seconds=60)
    other = Api(AccessKeyFactory(account=api.account, role="owner"))
    assert api("GetUser")

    assert other.refusal("GetUser") == "Throttling.User"


def test_documented_limits_are_kept():
    assert registry.OPERATIONS["SingleSendMail"].limit == Limit(100)
    assert registry.OPERATIONS["CheckDomain"].limit == Limit(10, 60)


# What is not there


def test_unknown_operations_and_versions(api):
    response = api.send("SendFax")
    assert (response.status_code, code(response)) == (404, "InvalidAction.NotFound")
    assert api.refusal("GetUser", Version="2014-05-26") == "InvalidVersion"
    assert api.refusal("SingleSendSms") == "OperationUnsupported.Gone"


def test_another_path_is_told_in_the_envelope(api):
    response = api.client.post("/v1/", headers=v3(api, "GetUser"))

    assert (response.status_code, code(response)) == (404, "InvalidAction.NotFound")


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(api, method):
    response = getattr(api.client, method)("/?Action=GetUser&Format=JSON")

    assert (response.status_code, code(response)) == (400, "UnsupportedHTTPMethod")


def test_visitors_are_led_to_the_console(client):
    assert client.get("/").headers["Location"] == "/console/"
    assert client.get("/?utm_source=mail").headers["Location"] == "/console/"


def test_a_post_of_nothing_is_told_what_is_missing(client):
    response = client.post("/", content_type=wire.FORM)

    assert (response.status_code, code(response)) == (400, "MissingAction")


def test_any_host_name_will_do(api):
    assert (
        api.client.post(f"/?{urlencode(api.signed('GetUser'))}", headers={"host": "dm.aliyuncs.com"}).status_code == 200
    )


# Sizes and encodings


def test_a_long_url_is_read(api):
    text = "你" * 27_000  # 80 KB, and three times that in the URL

    assert api.refusal("SingleSendMail", HtmlBody=text) == "MissingAccountName"


def test_a_url_that_is_too_long_is_told_so(client, monkeypatch):
    monkeypatch.setattr(wire, "LONGEST_QUERY", 1000)

    response = client.post(f"/?Action=GetUser&Format=JSON&More={'x' * 1000}")

    assert (response.status_code, code(response)) == (414, "RequestUriTooLong")


def test_a_body_of_8_mb_is_read(api):
    body = urlencode(api.signed("SingleSendMail", HtmlBody="<b>" * 2_700_000))

    response = api.client.post("/", body, content_type=wire.FORM)

    assert code(response) == "MissingAccountName"


def test_a_body_that_is_too_long_is_told_so(client, monkeypatch):
    monkeypatch.setattr(wire, "LONGEST_BODY", 1000)

    response = client.post("/?Format=JSON", "x" * 1001, content_type=wire.FORM)

    assert (response.status_code, code(response)) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize("query", ["Action=%ff", "Action=x&%C3=1", "Action=%ED%A0%80"])
def test_what_is_no_utf8_is_refused(client, query):
    assert code(client.post(f"/?{query}&Format=JSON")) == "InvalidParameter.Encoding"


def test_the_number_of_parameters_is_bounded(client):
    assert code(client.post("/?Format=JSON&" + "a=1&" * 2001, content_type=wire.FORM)) == "InvalidParameter.TooMany"


# Trouble


@pytest.mark.parametrize(
    ("trouble", "status", "wanted"),
    [(DatabaseError("down"), 503, "ServiceUnavailable"), (RuntimeError("a bug"), 500, "InternalError")],
)
def test_trouble_is_told_in_the_envelope_and_logged(api, monkeypatch, caplog, trouble, status, wanted):
    def run(_caller, _params):
        raise trouble

    monkeypatch.setitem(registry.OPERATIONS, "GetUser", registry.Operation(run))
    with caplog.at_level(logging.ERROR):
        response = api.send("GetUser")

    assert (response.status_code, code(response)) == (status, wanted)
    assert response.json()["RequestId"] in caplog.text
    assert str(trouble) not in response.content.decode()


def test_rights_of_the_key_are_kept(account):
    viewer = Api(AccessKeyFactory(account=account, role=Role.VIEWER))

    response = viewer.send("CreateTag", TagName="codes")

    assert (response.status_code, code(response)) == (403, "Forbidden.RAM")
    assert viewer("QueryTagByParam")["TotalCount"] == 0


def test_no_cookie_is_set_and_no_csrf_token_asked_for(api):
    response = api.send("GetUser")

    assert not response.cookies
    assert json.loads(response.content)


def test_use_of_the_key_is_noted(api):
    api("GetUser")

    api.key.refresh_from_db()
    assert api.key.last_used_at is not None


def test_reading_costs_few_queries(api, django_assert_num_queries):
    api("GetUser")
    authentication.known_keys.forget()
    with django_assert_num_queries(1):
        api("GetUser")


def test_a_client_without_a_key_touches_no_row(django_assert_num_queries):
    with django_assert_num_queries(0):
        Client().post("/?Action=GetUser")

"""Signatures against examples that others have made: captured SDK requests, and the vendor's published ones."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.rpc import signatures

SECRET = "testsecret"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

RESERVED = 'a+b&c=d*~\'()!/?#[]@%41\n"line2" emoji😀'
SINGLE = {
    "AccessKeyId": "testid",
    "AccountName": "noreply@mail.example.com",
    "Action": "SingleSendMail",
    "AddressType": "1",
    "ClickTrace": "1",
    "Format": "JSON",
    "FromAlias": "小红",
    "HtmlBody": f"<p>你好 {RESERVED}</p>",
    "RegionId": "cn-hangzhou",
    "ReplyToAddress": "True",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "98796130f9db7f3630e6a9a76dd66580",
    "SignatureType": "",
    "SignatureVersion": "1.0",
    "Subject": f"Subj 你好 {RESERVED}",
    "TagName": "tag_1",
    "Timestamp": "2026-11-23T09:47:58Z",
    "ToAddress": "a@example.com,b+tag@example.com",
    "Version": "2015-11-23",
}
BATCH = {
    "AccessKeyId": "testid",
    "AccountName": "noreply@mail.example.com",
    "Action": "BatchSendMail",
    "AddressType": "1",
    "Format": "json",
    "ReceiversName": "asia",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "6f883216a8db12b301373060b8620e93c033a4c37b818a11185e6a7fc2bdc41d",
    "SignatureVersion": "1.0",
    "TagName": "tag_1",
    "TemplateName": "tpl1",
    "Timestamp": "2026-11-23T09:49:26Z",
    "Version": "2015-11-23",
}


@pytest.mark.parametrize(
    ("parameters", "signature"),
    [(SINGLE, "YLD8VFqgVsfS6LNb9VGT61KAYpM="), (BATCH, "rJzQP5Zm8C/ibJhxTFRXO+R7faE=")],
)
def test_v1_as_the_sdks_sign(parameters, signature):
    text = signatures.v1_string_to_sign("POST", parameters.items())

    assert signatures.v1_signature(text, SECRET) == signature


def test_v1_leaves_out_the_signature_and_keeps_empty_values():
    text = signatures.v1_string_to_sign("GET", [("b", ""), ("Signature", "x"), ("a", "1 2")])

    assert text == "GET&%2F&a%3D1%25202%26b%3D"


HEADERS = {
    "accept": "application/json",
    "content-type": "application/x-www-form-urlencoded",
    "host": "127.0.0.1:18080",
    "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
    "x-acs-action": "BatchSendMail",
    "x-acs-content-sha256": EMPTY,
    "x-acs-credentials-provider": "static_ak",
    "x-acs-date": "2026-11-23T09:47:49Z",
    "x-acs-signature-nonce": "9e56a23474f36b01a5899cc705cb98ff",
    "x-acs-version": "2015-11-23",
}


def test_v3_as_the_sdk_signs():
    query = {
        "AccountName": "noreply@mail.example.com",
        "AddressType": "1",
        "ClickTrace": "0",
        "ReceiversName": "asia",
        "ReplyAddress": "r@example.com",
        "ReplyAddressAlias": "R",
        "TagName": "tag_1",
        "TemplateName": "tpl1",
    }

    request = signatures.v3_canonical_request("POST", query.items(), HEADERS, HEADERS, EMPTY)
    text = signatures.v3_string_to_sign(signatures.V3_SHA256, request)

    assert text.endswith("\nfdcde95a4b715698006d2c171276c4c7346bce73db5c1e1e22c58ba3f4045109")
    wanted = "ffb1ecc871f649e8db667a02a2184260f21ab19b0a6d91470495665d1929838d"
    assert signatures.v3_signature(signatures.V3_SHA256, text, SECRET) == wanted


@pytest.mark.parametrize(
    ("date", "nonce", "signature"),
    [
        (
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
        (
            "2023-10-26T09:01:01Z",
            "d410180a5abf7fe235dd9b74aca91fc0",
            "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
        ),
    ],
)
def test_v3_as_its_documentation_has_it(date, nonce, signature):
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": date,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": "2014-05-26",
    }

    request = signatures.v3_canonical_request("POST", query.items(), headers, headers, EMPTY)
    text = signatures.v3_string_to_sign(signatures.V3_SHA256, request)

    assert signatures.v3_signature(signatures.V3_SHA256, text, "YourAccessKeySecret") == signature


def test_sm3_hashes_as_its_standard_has_it():
    wanted = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"

    assert signatures.v3_hash(signatures.V3_SM3, b"abc") == wanted


def test_the_authorization_header_is_read():
    found = signatures.read_authorization(
        "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-date, Signature=ab"
    )

    assert found == signatures.Authorization("ACS3-HMAC-SHA256", "testid", ("host", "x-acs-date"), "ab")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=a,Signature=b",
        "ACS3-HMAC-SHA256 Credential=a,Credential=b,SignedHeaders=host,Signature=b",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host;Host,Signature=b",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=b,More=c",
    ],
)
def test_another_form_of_the_header_is_refused(header):
    with pytest.raises(signatures.BadAuthorization):
        signatures.read_authorization(header)


CHARACTERS = st.text("aZ9-_.~ *+/&=%'()!#你😀\n", max_size=9)


@given(st.dictionaries(CHARACTERS.filter(bool), CHARACTERS, max_size=4))
def test_the_canonical_form_says_everything(parameters):
    text = signatures.canonical_query(parameters.items())

    assert text.isascii()
    assert not set(text) & set(" +*!'()/#\n")
    assert sorted(parse_qsl(text, keep_blank_values=True)) == sorted(parameters.items())

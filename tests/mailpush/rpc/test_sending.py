"""What the sending operations accept and refuse, and what leaves."""

import base64
import json
from email import message_from_bytes, policy
from urllib.parse import urlencode

import pytest

from accounts.models import AllowedAddresses
from mailpush.rpc import uploads
from senders.models import ConfigSet, Sender
from sending import bodies
from sending.models import AddressType, Batch, Content, Message
from sending.services import posts
from tests.factories import (
    DomainFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    TagFactory,
    TemplateFactory,
)

pytestmark = pytest.mark.django_db

TO = "zoe@readers.example.org"
POST = {"AddressType": 1, "ReplyToAddress": "false", "Subject": "Hello", "ToAddress": TO}


@pytest.fixture
def codes(account):
    domain = DomainFactory(account=account, name="shop.example.com")
    return SenderFactory(account=account, domain=domain, address="codes@shop.example.com", stream="trigger")


@pytest.fixture
def news(account):
    domain = DomainFactory(account=account, name="news.example.com")
    return SenderFactory(account=account, domain=domain, address="news@news.example.com", stream="batch")


@pytest.fixture
def send(api, codes):
    """Send a letter and return it as it was stored."""

    def send(**params):
        env_id = api("SingleSendMail", **{**POST, "AccountName": codes.address, "TextBody": "hello", **params})["EnvId"]
        content = Content.objects.get(pk=env_id)
        return content, message_from_bytes(bodies.load(content), policy=policy.default)

    return send


@pytest.fixture
def refused(api, codes):
    def refused(**params):
        return api.refusal("SingleSendMail", **{**POST, "AccountName": codes.address, "TextBody": "hello", **params})

    return refused


def recipients(content):
    return sorted(Message.objects.filter(content=content).values_list("recipient", flat=True))


# SingleSendMail


def test_bodies_may_hold_any_braces(send):
    html = "<style>p{x:{UserName}}</style><body>{UserName} {{x}} { } 你好</body>"

    _content, mail = send(HtmlBody=html, TextBody=None)

    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n").rstrip("\n") == html
    assert "{UserName} {{x}}" in mail.get_body(("plain",)).get_content()


def test_all_recipients_see_each_other_but_not_the_blind_copies(send):
    content, mail = send(ToAddress=f"{TO}, ann@readers.example.org,{TO.upper()}", BccAddress="boss@shop.example.org")

    assert [each.addr_spec for each in mail["To"].addresses] == [TO, "ann@readers.example.org"]
    assert mail["Bcc"] is None
    assert recipients(content) == ["ann@readers.example.org", "boss@shop.example.org", TO]


@pytest.mark.parametrize(("number", "kind"), [(0, AddressType.RANDOM), (1, AddressType.SENDER)])
def test_the_address_type_chooses_the_envelope_sender(send, number, kind):
    content, _mail = send(AddressType=number)

    assert content.address_type == kind


def test_names_and_reply_address_stand_in_the_header(send, account):
    TagFactory(account=account, name="Codes")
    content, mail = send(
        FromAlias="小红", ReplyAddress="r@elsewhere.example.org", ReplyAddressAlias="Ann, B.", TagName="codes"
    )

    assert str(mail["From"]) == "小红 <codes@shop.example.com>"
    assert mail["Reply-To"].addresses[0].display_name == "Ann, B."
    assert content.tag.name == "Codes"


def test_the_senders_own_reply_address_is_used_when_asked_for(send, codes, now):
    Sender.objects.filter(pk=codes.pk).update(reply_to="r@elsewhere.example.org", reply_to_verified_at=now)

    assert send(ReplyToAddress="True")[1]["Reply-To"] == "r@elsewhere.example.org"
    assert send(ReplyToAddress="False")[1]["Reply-To"] is None


def test_an_unconfirmed_reply_address_is_named(refused, codes):
    Sender.objects.filter(pk=codes.pk).update(reply_to="r@elsewhere.example.org")

    assert refused(ReplyToAddress="true") == "InvalidReplyAddress.NotVerified"


@pytest.mark.parametrize(
    ("params", "scope"),
    [
        ({}, ""),
        ({"UnSubscribeLinkType": "disabled", "UnSubscribeFilterLevel": "mailfrom"}, "none"),
        ({"UnSubscribeLinkType": "default", "UnSubscribeFilterLevel": "mailfrom"}, "sender"),
        ({"UnSubscribeFilterLevel": "mailfrom_domain"}, "domain"),
        ({"UnSubscribeFilterLevel": "edm_id"}, "account"),
    ],
)
def test_unsubscribing_reaches_as_far_as_the_call_says(send, params, scope):
    assert send(**params)[0].unsubscribe_scope == scope


def test_header_fields_of_ones_own(send):
    headers = {
        "Message-ID": "<own@shop.example.com>",
        "X-User-Order": "42 你",
        "List-Unsubscribe": "<https://x.example/u>",
    }

    _content, mail = send(Headers=json.dumps(headers))

    assert mail.get_all("Message-ID") == ["<own@shop.example.com>"]
    assert (mail["X-User-Order"], mail["List-Unsubscribe"]) == ("42 你", "<https://x.example/u>")


def test_more_than_ten_header_fields_are_passed_over(send):
    headers = {f"X-User-{n:02}": "x" for n in range(12)}

    _content, mail = send(Headers=json.dumps(headers))

    assert len([name for name in mail if name.startswith("X-User-")]) == 10


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ToAddress": "nobody"}, "InvalidToAddress"),
        ({"ToAddress": ",".join(f"a{n}@x.example.org" for n in range(101))}, "InvalidToAddress"),
        ({"BccAddress": "a@x.example.org,b@x.example.org,c@x.example.org"}, "InvalidBccAddress"),
        ({"TextBody": None}, "InvalidBody"),
        ({"TextBody": " ", "HtmlBody": "\n"}, "InvalidBody"),
        ({"Subject": "x" * 257}, "InvalidSubject.Malformed"),
        ({"Subject": "a\r\nBcc: all@x.example.org"}, "InvalidSubject.Malformed"),
        ({"FromAlias": "a\r\nBcc: all@x.example.org"}, "InvalidFromAlias.Malformed"),
        ({"FromAlias": "x" * 65}, "InvalidFromAlias.Malformed"),
        ({"ReplyAddress": "nobody"}, "InvalidReplyAddress.Malformed"),
        ({"Headers": "{"}, "InvalidHeaders.Malformed"),
        ({"Headers": "[]"}, "InvalidHeaders.Malformed"),
        ({"Headers": json.dumps({"From": "x"})}, "InvalidHeaders.Malformed"),
        ({"Headers": json.dumps({"X-User-A": "a\r\nBcc: all@x.example.org"})}, "InvalidHeaders.Malformed"),
        ({"Headers": json.dumps({"X-User-A\r\nBcc": "x"})}, "InvalidHeaders.Malformed"),
        ({"Headers": json.dumps({"Message-ID": "<a@b>", "message-id": "<c@d>"})}, "InvalidHeaders.Malformed"),
        ({"TagName": "unknown"}, "InvalidTag.NotFound"),
        ({"AddressType": 2}, "InvalidAddressType.Malformed"),
        ({"ReplyToAddress": "maybe"}, "InvalidReplyToAddress.Malformed"),
        ({"ClickTrace": "2"}, "InvalidClickTrace.Malformed"),
        ({"UnSubscribeLinkType": "x"}, "InvalidUnSubscribeLinkType.Malformed"),
        ({"UnSubscribeFilterLevel": "x"}, "InvalidUnSubscribeFilterLevel.Malformed"),
        ({"IpPoolId": "1"}, "InvalidIpPool.NotFound"),
        ({"AccountName": "unknown@shop.example.com"}, "InvalidMailAddress.NotFound"),
        ({"Template": json.dumps({"TemplateId": "1"})}, "InvalidTemplate.NotFound"),
        ({"Attachments.1.AttachmentName": "a"}, "MissingAttachmentUrl"),
        ({"TextBody": "a\0"}, "InvalidTextBody.Malformed"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_sent(refused, params, code):
    assert refused(**params) == code
    assert not Message.objects.exists()


def test_a_sender_that_may_not_send_is_refused(refused, codes):
    Sender.objects.filter(pk=codes.pk).update(is_frozen=True)

    assert refused() == "InvalidMailAddressStatus.Malformed"


def test_a_spent_quota_has_a_code_of_its_own(refused, account):
    account.daily_quota = 0
    account.save()

    assert refused() == "InvalidQuota.Exceeded"
    assert not Content.objects.exists()


def test_a_template_is_filled_for_each_recipient(api, codes, account):
    template = TemplateFactory(account=account, approve=True)
    wanted = json.dumps({"TemplateId": str(template.pk), "TemplateData": {"UserName": "Anna", "Age": 4, "Ok": True}})

    env_id = api("SingleSendMail", **POST, AccountName=codes.address, Template=wanted, TextBody="ignored")["EnvId"]

    content = Content.objects.get(pk=env_id)
    assert (content.kind, content.subject, content.sender_name) == ("composed", "Hello {NickName}", "Example")
    assert Message.objects.get(content=content).variables == {"UserName": "Anna", "Age": "4", "Ok": "true"}


def test_a_template_without_approval_is_not_sent(refused, account):
    template = TemplateFactory(account=account)

    assert refused(Template=json.dumps({"TemplateId": template.pk})) == "InvalidTemplateStatus.NotApproved"


def test_domain_level_authentication_makes_the_sender(send, api, codes):
    content, mail = send(AccountName="anything@shop.example.com", DomainAuth="true")
    assert (content.sender.address, mail["From"]) == ("anything@shop.example.com", "anything@shop.example.com")

    whole, _mail = send(AccountName="shop.example.com", DomainAuth="true")
    assert whole.sender.address == "domain-auth-created-by-system@shop.example.com"
    again, _mail = send(AccountName="shop.example.com", DomainAuth="true")
    assert again.sender == whole.sender
    post = {**POST, "TextBody": "x", "DomainAuth": "true"}
    assert api.refusal("SingleSendMail", **post, AccountName="a@other.example.com") == "InvalidDomain.NotFound"


def test_a_configuration_set_refuses_recipients_and_chooses_source_addresses(send, refused, codes, account):
    chosen = ConfigSet.objects.create(
        account=account, name="strict", is_validating=True, refused_sub_statuses=["DISPOSABLE"]
    )
    Sender.objects.filter(pk=codes.pk).update(config_set=chosen)

    assert refused(ToAddress="a@mailinator.com") == "InvalidToAddress.Refused"


def test_ip_protection_refuses_programs_elsewhere(refused, send, account):
    account.is_ip_protected = True
    account.save()
    entry = AllowedAddresses.objects.create(account=account, written="192.0.2.1", first="192.0.2.1", last="192.0.2.1")
    assert refused() == "Forbidden.IP"

    entry.first, entry.last = "127.0.0.0", "127.0.0.255"
    entry.save()
    assert send()[0].pk


# Attachments


def data_url(content):
    return f"data:text/plain;base64,{base64.b64encode(content).decode()}"


def test_attachments_that_storage_does_not_take_are_refused(refused, full_storage):
    attached = {
        "Attachments.1.AttachmentName": "a",
        "Attachments.1.AttachmentUrl": data_url(bytes(bodies.LARGEST_IN_ROW)),
    }

    assert refused(**attached) == "ServiceUnavailable"
    assert not Content.objects.exists()


def test_attachments_come_by_data_url(send):
    files = {
        "Attachments.1.AttachmentName": "发票 2026.txt",
        "Attachments.1.AttachmentUrl": data_url(b"one\0" * 100),
        "Attachments.10.AttachmentName": 'b"/\r.bin',
        "Attachments.10.AttachmentUrl": data_url(b""),
        "Attachments.2.AttachmentName": "a.pdf",
        "Attachments.2.AttachmentUrl": data_url(b"%PDF"),
    }

    _content, mail = send(HtmlBody="<p>hi</p>", **files)

    attached = [
        (each.get_filename(), each.get_content_type(), each.get_payload(decode=True))
        for each in mail.iter_attachments()
    ]
    assert attached == [
        ("发票 2026.txt", "text/plain", b"one\0" * 100),
        ("a.pdf", "application/pdf", b"%PDF"),
        ("b___.bin", "application/octet-stream", b""),
    ]
    assert mail.get_body(("html",)).get_content().strip() == "<p>hi</p>"


def test_large_mails_go_to_storage(send):
    content, _mail = send(
        **{"Attachments.1.AttachmentName": "a", "Attachments.1.AttachmentUrl": data_url(b"x" * 400_000)}
    )

    assert content.mime is None
    assert content.mime_file


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        f"http://{uploads.BUCKET}.elsewhere.example/x/file",
        "http://[upload.example/x/file",
        "data:text/plain,hello",
        "data:text/plain;base64,%%%",
    ],
)
def test_no_other_url_is_fetched(refused, url):
    attached = {"Attachments.1.AttachmentName": "a", "Attachments.1.AttachmentUrl": url}

    assert refused(**attached) == "InvalidAttachmentUrl"


def test_an_upload_that_is_gone_is_said_to_be_so(refused):
    url = f"http://{uploads.BUCKET}.{uploads.endpoint()}/00/file"

    attached = {"Attachments.1.AttachmentName": "a", "Attachments.1.AttachmentUrl": url}
    assert refused(**attached) == "InvalidAttachmentUrl.NotFound"


def test_attachments_are_bounded(api, codes):
    attached = {"Attachments.1.AttachmentName": "a", "Attachments.1.AttachmentUrl": data_url(b"x" * (16 * 1024 * 1024))}
    fields = {**POST, "AccountName": codes.address, "TextBody": "hello", **attached}

    body = urlencode(api.signed("SingleSendMail", **fields))  # the URL has no room for it
    response = api.client.post("/", body, content_type="application/x-www-form-urlencoded")

    assert response.json()["Code"] == "EmailLengthError"


def test_no_more_is_read_than_a_mail_may_have(refused, monkeypatch):
    """One upload may be named a thousand times."""
    monkeypatch.setattr(posts, "ATTACHED_BYTES", 4)
    attached = {f"Attachments.{n}.AttachmentName": "a" for n in (1, 2)}
    urls = {"Attachments.1.AttachmentUrl": data_url(b"12345"), "Attachments.2.AttachmentUrl": "never looked at"}

    assert refused(**attached, **urls) == "EmailLengthError"


# BatchSendMail


@pytest.fixture
def readers(account):
    made = RecipientListFactory(account=account, name="Readers", alias="list@lists.example.com", count=1)
    RecipientFactory(list=made, address=TO)
    return made


@pytest.fixture
def welcome(account):
    return TemplateFactory(account=account, name="Welcome", approve=True)


ORDER = {"AddressType": 0, "TemplateName": "welcome", "ReceiversName": "readers"}


@pytest.mark.parametrize("name", ["readers", "list@lists.example.com", "LIST@lists.example.com"])
def test_a_list_is_named_by_name_or_alias(api, news, readers, welcome, name):
    env_id = api("BatchSendMail", **{**ORDER, "ReceiversName": name}, AccountName=news.address)["EnvId"]

    batch = Batch.objects.get(content_id=env_id)
    assert (batch.list, batch.template, batch.sender) == (readers, welcome, news)


def test_a_reply_address_of_the_call_wins(api, news, readers, welcome):
    reply = {"ReplyAddress": "r@elsewhere.example.org", "ReplyAddressAlias": "Ann"}
    env_id = api("BatchSendMail", **ORDER, **reply, AccountName=news.address)["EnvId"]

    content = Content.objects.get(pk=env_id)
    assert (content.reply_to, content.reply_to_name) == ("r@elsewhere.example.org", "Ann")


def test_the_same_client_token_twice_is_one_batch(api, foreign_api, news, readers, welcome):
    first = api("BatchSendMail", **ORDER, AccountName=news.address, ClientToken="t1")
    again = api("BatchSendMail", **ORDER, AccountName=news.address, ClientToken="t1")
    other = api("BatchSendMail", **ORDER, AccountName=news.address, ClientToken="t2")

    assert first["EnvId"] == again["EnvId"] != other["EnvId"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ReceiversName": "unknown"}, "InvalidReceiver.NotFound"),
        ({"TemplateName": "unknown"}, "InvalidTemplate.NotFound"),
        ({"TemplateName": None}, "MissingTemplateName"),
        ({"ReceiversName": None}, "MissingReceivers"),
        ({"AccountName": None}, "MissingAccountName"),
        ({"TagName": "unknown"}, "InvalidTag.NotFound"),
    ],
)
def test_what_is_wrong_with_a_batch_is_named(api, news, readers, welcome, params, code):
    assert api.refusal("BatchSendMail", **{**ORDER, "AccountName": news.address, **params}) == code
    assert not Batch.objects.exists()


def test_a_batch_needs_a_batch_sender_an_approval_and_somebody(api, codes, news, readers, welcome, account):
    assert api.refusal("BatchSendMail", **ORDER, AccountName=codes.address) == "InvalidMailAddressStatus.Malformed"
    TemplateFactory(account=account, name="draft")
    draft = {**ORDER, "TemplateName": "draft", "AccountName": news.address}
    assert api.refusal("BatchSendMail", **draft) == "InvalidTemplateStatus.NotApproved"
    RecipientListFactory(account=account, name="empty")
    empty = {**ORDER, "ReceiversName": "empty", "AccountName": news.address}
    assert api.refusal("BatchSendMail", **empty) == "InvalidReceiverStatus.Empty"


def receivers(*rows):
    return json.dumps([{"To": [address], "TemplateData": values} for address, values in rows])


def test_recipients_and_text_may_come_with_the_call(api, news):
    content = json.dumps({"Subject": "An {Animal}", "HtmlBody": "<p>{Animal} & {Place}</p>", "Alias": "Zoo"})
    to = receivers(("a@x.example.org", {"Animal": "owl", "Place": 1}), ("b@x.example.org", {}))

    env_id = api("BatchSendMail", AddressType=1, AccountName=news.address, Receivers=to, TemplateContent=content)[
        "EnvId"
    ]

    stored = Content.objects.get(pk=env_id)
    assert (stored.sender_name, stored.subject, stored.text.strip()) == ("Zoo", "An {Animal}", "{Animal} & {Place}")
    found = dict(Message.objects.filter(content=stored).values_list("recipient", "variables"))
    assert found == {"a@x.example.org": {"Animal": "owl", "Place": "1"}, "b@x.example.org": {}}


def test_a_recipient_named_twice_gets_one_mail(api, news):
    content = json.dumps({"Subject": "s", "TextBody": "t"})
    to = receivers(("a@x.example.org", {}), ("A@X.example.org", {"UserName": "Ann"}))

    api("BatchSendMail", AddressType=1, AccountName=news.address, Receivers=to, TemplateContent=content)

    assert Message.objects.get().variables == {"UserName": "Ann"}


def test_a_template_wins_over_text(api, news, welcome):
    content = json.dumps({"Subject": "ignored", "TextBody": "ignored"})
    to = receivers(("a@x.example.org", {"UserName": "Ann"}))
    order = {"AddressType": 1, "AccountName": news.address, "Receivers": to, "TemplateContent": content}

    env_id = api("BatchSendMail", **order, TemplateName="Welcome")["EnvId"]

    assert Content.objects.get(pk=env_id).subject == "Hello {NickName}"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Receivers": "{"}, "InvalidReceivers.Malformed"),
        ({"Receivers": "{}"}, "InvalidReceivers.Malformed"),
        ({"Receivers": "[]"}, "InvalidReceivers.Malformed"),
        ({"Receivers": '[{"To": ["nobody"]}]'}, "InvalidReceivers.Malformed"),
        ({"Receivers": receivers(("a@x.example.org", {"UserName": "\0"}))}, "InvalidReceivers.Malformed"),
        ({"Receivers": receivers(("a@x.example.org", {"\ud800": "x"}))}, "InvalidReceivers.Malformed"),
        ({"Receivers": '[{"To": ["a@x.example.org"], "TemplateData": []}]'}, None),
        ({"Receivers": '[{"To": ["a@x.example.org"], "TemplateData": [1]}]'}, "InvalidTemplateData.Malformed"),
        ({"Receivers": receivers(*((f"a{n}@x.example.org", {}) for n in range(101)))}, "InvalidReceivers.Malformed"),
        ({"TemplateContent": "[]"}, "InvalidTemplateContent.Malformed"),
        ({"TemplateContent": "{}"}, "MissingTemplateName"),
        ({"TemplateContent": '{"Subject": "s"}'}, "InvalidBody"),
        ({"TemplateContent": '{"Subject": "s", "TextBody": "t\\u0000"}'}, "InvalidTemplateContent.Malformed"),
        ({"TemplateContent": '{"TextBody": "s"}'}, "InvalidSubject.Malformed"),
        ({"TemplateContent": '{"Subject": "s", "TextBody": "{"}'}, "InvalidBody.Malformed"),
        ({"TemplateContent": '{"Subject": "s", "TextBody": "t", "Alias": "a\\nb"}'}, "InvalidFromAlias.Malformed"),
    ],
)
def test_what_is_wrong_with_recipients_and_text_is_named(api, news, params, code):
    order = {
        "AddressType": 1,
        "AccountName": news.address,
        "Receivers": receivers(("a@x.example.org", {})),
        "TemplateContent": json.dumps({"Subject": "s", "TextBody": "t"}),
        **params,
    }

    response = api.send("BatchSendMail", **order)

    assert response.json().get("Code") == code


# ClickTrace


@pytest.mark.parametrize(
    ("asked", "is_tracked"), [({}, False), ({"ClickTrace": "0"}, False), ({"ClickTrace": "1"}, True)]
)
def test_mail_is_tracked_where_click_trace_says_so(send, asked, is_tracked):
    content, _mail = send(HtmlBody="<a href='https://shop.example'>Shop</a>", **asked)

    assert content.is_tracked is is_tracked


def test_click_trace_is_one_of_two(refused):
    assert refused(ClickTrace="yes") == "InvalidClickTrace.Malformed"


def test_blind_copies_are_not_tracked(send):
    content, _mail = send(HtmlBody="<p>Hello</p>", ClickTrace="1", BccAddress="bcc@readers.example.org")

    tracked = dict(Message.objects.values_list("recipient", "content__is_tracked"))
    assert tracked == {TO: True, "bcc@readers.example.org": False}
    assert recipients(content) == [TO]


def test_template_of_a_blind_copy_is_not_tracked_either(api, codes, account):
    template = TemplateFactory(account=account, approve=True)
    params = {
        **POST,
        "AccountName": codes.address,
        "Subject": None,
        "Template": json.dumps({"TemplateId": template.pk}),
    }

    api("SingleSendMail", **params, ClickTrace="1", BccAddress="bcc@readers.example.org")

    tracked = dict(Message.objects.values_list("recipient", "content__is_tracked"))
    assert tracked == {TO: True, "bcc@readers.example.org": False}


def test_batch_to_a_list_is_tracked(api, news, account):
    readers = RecipientListFactory(account=account, name="readers", count=1)
    RecipientFactory(list=readers)
    template = TemplateFactory(account=account, approve=True, name="autumn")
    params = {"AccountName": news.address, "AddressType": 0, "ReceiversName": "readers", "TemplateName": template.name}

    api("BatchSendMail", **params, ClickTrace="1")

    assert Batch.objects.get().content.is_tracked

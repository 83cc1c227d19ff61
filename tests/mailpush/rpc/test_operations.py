"""Every operation: its answer has the parts and types that the SDKs read, and nobody reaches another's things."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from accounts.models import AllowedAddresses
from domains.models import DkimKey
from mailpush.mail import dkim
from mailpush.rpc import registry, uploads
from mailpush.rpc.models import OperationLimit, Upload
from recipients.models import Suppression
from senders.models import ConfigSet, SourcePool, Stream
from senders.services import reply_addresses
from sending.models import AddressFile, Status
from tests.factories import (
    BatchFactory,
    DailyFigureFactory,
    DomainFactory,
    MessageFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    TagFactory,
    TemplateFactory,
)

pytestmark = pytest.mark.django_db

DOCUMENTED = json.loads((Path(__file__).parent / "operations.json").read_text())
TYPES = {"string": str, "integer": int, "boolean": bool}
IP = "127.0.0.9"


class World:
    """One of everything, in one account."""

    def __init__(self, account, name):
        now = datetime.now(UTC)
        self.account = account
        self.domain = DomainFactory(account=account, name=f"{name}.example.com")
        key = dkim.generate_key(1024)
        DkimKey.objects.create(
            domain=self.domain, selector="mp1", encrypted_private_key="x", public_record=dkim.public_record(key)
        )
        self.pool = SourcePool.objects.create(account=account, name="pool", ips=[IP])
        self.config_set = ConfigSet.objects.create(account=account, name="set", pool=self.pool)
        self.sender = SenderFactory(
            account=account,
            domain=self.domain,
            address=f"news@{self.domain.name}",
            config_set=self.config_set,
            reply_to="owner@elsewhere.example.org",
        )
        self.codes = SenderFactory(
            account=account, domain=self.domain, address=f"codes@{self.domain.name}", stream=Stream.TRIGGER
        )
        self.tag = TagFactory(account=account, name="codes")
        self.list = RecipientListFactory(account=account, name="readers", alias=f"list@{self.domain.name}", count=1)
        RecipientFactory(list=self.list, address="anna@readers.example.org", variables={"UserName": "Anna"})
        self.template = TemplateFactory(account=account, name="welcome", approve=True)
        self.draft = TemplateFactory(account=account, name="draft")
        self.batch = BatchFactory(
            content__sender=self.sender, tag=self.tag, list_name="readers", template_name="welcome", status="done"
        )
        MessageFactory(batch=self.batch, recipient="anna@readers.example.org", status=Status.DELIVERED)
        DailyFigureFactory(sender=self.sender, tag=self.tag, total=1, success=1)
        self.bounced = self._suppress("gone@readers.example.org", Suppression.Reason.BOUNCED)
        self.own = self._suppress("quiet@readers.example.org", Suppression.Reason.MANUAL)
        self.blocked = self._suppress("tired@readers.example.org", Suppression.Reason.UNSUBSCRIBED)
        self.allowed = AllowedAddresses.objects.create(
            account=account, written="127.0.0.0/8", first="127.0.0.0", last="127.255.255.255"
        )
        self.file = AddressFile.objects.create(account=account, name="f.csv", status="done", result="x.csv")
        file = default_storage.save(f"uploads/{name}", ContentFile(b"anna@readers.example.org\n"))
        Upload.objects.create(account=account, key=f"{name}/file", file=file, size=1, digest="x", created_at=now)
        self.url = f"http://{uploads.BUCKET}.{uploads.endpoint()}/{name}/file"
        self.ticket = reply_addresses.token_for(self.sender)

    def _suppress(self, address, reason):
        return Suppression.objects.create(account=self.account, address=address, reason=reason)


def span(form, days=1):
    now = datetime.now(UTC)
    return {
        "StartTime": (now - timedelta(days=days)).strftime(form),
        "EndTime": (now + timedelta(days=1)).strftime(form),
    }


DAYS = span("%Y-%m-%d")
POST = {"AddressType": 1, "ReplyToAddress": False, "Subject": "Hello", "TextBody": "hello"}
FILE = {"FileName": "f.csv", "AddressColumn": 1, "HasHeaderRow": False, "RemoveDuplicate": True}
SOMEONE = "someone@elsewhere.example.org"

# Parameters by operation, with the things of a world; deletions of what others need come last.
CALLS = {
    "QueryDomainByParam": lambda w: {"KeyWord": "example", "PageNo": 1, "PageSize": 10, "Status": 0},
    "DescDomain": lambda w: {"DomainId": w.domain.pk},
    "CheckDomain": lambda w: {"DomainId": w.domain.pk},
    "ModifyPWByDomain": lambda w: {"DomainName": w.domain.name, "Password": "abcDEF1234"},
    "ChangeDomainDkimRecord": lambda w: {"Domain": w.domain.name, "DkimRsaLength": 1024},
    "QueryMailAddressByParam": lambda w: {"KeyWord": "news", "Sendtype": "batch"},
    "ModifyMailAddress": lambda w: {"MailAddressId": w.sender.pk, "Password": "abcDEF1234"},
    "ApproveReplyMailAddress": lambda w: {"Ticket": w.ticket},
    "QueryTagByParam": lambda w: {"KeyWord": "codes"},
    "ModifyTag": lambda w: {"TagId": w.tag.pk, "TagName": "codes", "TagDescription": "new"},
    "QueryReceiverByParam": lambda w: {"KeyWord": "readers", "Status": 1},
    "QueryReceiverDetail": lambda w: {"ReceiverId": w.list.pk},
    "SaveReceiverDetail": lambda w: {
        "ReceiverId": w.list.pk,
        "Detail": json.dumps([{"e": "anna@readers.example.org", "u": "Anna"}, {"e": "ben@readers.example.org"}]),
    },
    "DescTemplate": lambda w: {"TemplateId": w.template.pk},
    "QueryTemplateByParam": lambda w: {"KeyWord": "welcome", "Status": 2},
    "ModifyTemplate": lambda w: {"TemplateId": w.draft.pk, "TemplateName": "draft", "TemplateText": "<p>new</p>"},
    "ApproveTemplate": lambda w: {"TemplateId": TemplateFactory(account=w.account).pk},
    "SingleSendMail": lambda w: {**POST, "AccountName": w.codes.address, "ToAddress": SOMEONE, "TagName": "codes"},
    "BatchSendMail": lambda w: {
        "AccountName": w.sender.address,
        "AddressType": 0,
        "TemplateName": "welcome",
        "ReceiversName": w.list.alias,
        "IpPoolId": w.pool.pk,
    },
    "SendTestByTemplate": lambda w: {"AccountName": w.codes.address, "Email": SOMEONE, "TemplateId": w.template.pk},
    "AuthorizeFileUpload": lambda w: {"Version": "2019-12-19", "Product": "Dm"},
    "QueryTaskByParam": lambda w: {"KeyWord": "welcome", "Status": 1},
    "SenderStatisticsByTagNameAndBatchID": lambda w: {**DAYS, "AccountName": w.sender.address, "TagName": "codes"},
    "SenderStatisticsDetailByParam": lambda w: {**span("%Y-%m-%d %H:%M"), "AccountName": w.sender.address, "Status": 0},
    "GetTrackList": lambda w: {**DAYS, "AccountName": w.sender.address, "TagName": "codes"},
    "GetTrackListByMailFromAndTagName": lambda w: {**DAYS, "AccountName": w.sender.address, "TagName": "codes"},
    "QueryInvalidAddress": lambda w: {"KeyWord": "gone", **DAYS},
    "ListUserSuppression": lambda w: {"Address": "quiet"},
    "ListBlockSending": lambda w: {
        "BlockType": "UNSUB",
        "BlockEmail": w.blocked.address,
        "SenderEmail": w.sender.address,
    },
    "GetSuppressionListLevel": lambda w: {},
    "SetSuppressionListLevel": lambda w: {"SuppressionListLevel": "account"},
    "DescAccountSummary": lambda w: {},
    "GetUser": lambda w: {},
    "UpdateUser": lambda w: {"User": json.dumps({"EnableEventbridge": False})},
    "GetIpfilterList": lambda w: {},
    "GetIpProtection": lambda w: {},
    "UpdateIpProtection": lambda w: {"IpProtection": "1"},
    "ValidateEmail": lambda w: {"Email": "anna@readers.example.org"},
    "CheckDisposable": lambda w: {"Email": "anna@mailinator.com"},
    "GetValidationQuota": lambda w: {},
    "SendValidateFile": lambda w: {"FileUrl": w.url, **FILE},
    "GetValidateFile": lambda w: {"FileId": w.file.token},
    "GetValidateFileStatus": lambda w: {"FileId": w.file.token},
    "ListValidateFile": lambda w: {**span("%Y-%m-%dT%H:%M:%SZ"), "FileKeyword": "f"},
    "DedicatedIpList": lambda w: {"PageIndex": 1, "PageSize": 10},
    "DedicatedIpNonePoolList": lambda w: {},
    "DedicatedIpChangeWarmupType": lambda w: {"Id": IP, "WarmupType": "cusSelfManager"},
    "GetDedicatedIpWarmUpInfo": lambda w: {"DedicatedIp": IP},
    "GetDedicatedIpWarmUpDetail": lambda w: {"DedicatedIp": IP},
    "DedicatedIpPoolList": lambda w: {"PoolId": w.pool.pk},
    "DedicatedIpPoolUpdate": lambda w: {"Id": w.pool.pk, "BuyResourceIds": IP, "UpdateResource": True},
    "ConfigSetList": lambda w: {"PageIndex": 1, "PageSize": 10, "Keyword": "set"},
    "ConfigSetDetail": lambda w: {"Id": w.config_set.pk},
    "ConfigSetUpdate": lambda w: {"Id": w.config_set.pk, "Name": "set", "IpPoolId": w.pool.pk},
    "ConfigSetRelationFromAddress": lambda w: {"Id": w.config_set.pk, "FromAddress": w.codes.address},
    "ConfigSetCancelRelationFromAddress": lambda w: {"Id": w.config_set.pk, "FromAddress": w.sender.address},
    # New things
    "CreateDomain": lambda w: {"DomainName": "new.example.com", "dkimSelector": "main"},
    "CreateMailAddress": lambda w: {"AccountName": f"new@{w.domain.name}", "Sendtype": "trigger"},
    "CheckReplyToMailAddress": lambda w: {"MailAddressId": w.sender.pk, "Lang": "en", "Region": "cn-hangzhou"},
    "CreateTag": lambda w: {"TagName": "new", "TagDescription": "d"},
    "CreateReceiver": lambda w: {"ReceiversName": "new", "ReceiversAlias": "new@lists.example.com", "Desc": "d"},
    "CreateTemplate": lambda w: {"TemplateName": "new", "TemplateSubject": "s", "TemplateText": "<p>t</p>"},
    "CreateUserSuppression": lambda w: {"Address": SOMEONE},
    "AddIpfilter": lambda w: {"IpAddress": "192.0.2.1-192.0.2.9"},
    "DedicatedIpPoolCreate": lambda w: {"Name": "new"},
    "ConfigSetCreate": lambda w: {
        "Name": "new",
        "Description": "d",
        "ValidationOption": json.dumps({"Enabled": True, "ForbiddenStatusList": ["INVALID"]}),
    },
    # Goodbye
    "DeleteInvalidAddress": lambda w: {"ToAddress": w.bounced.address},
    "RemoveUserSuppression": lambda w: {"SuppressionIds": w.own.pk},
    "UnblockSending": lambda w: {
        "BlockType": "UNSUB",
        "BlockEmail": w.blocked.address,
        "SenderEmail": w.sender.address,
    },
    "DeleteIpfilterByEdmId": lambda w: {"Id": w.allowed.pk},
    "DeleteReceiverDetail": lambda w: {"ReceiverId": w.list.pk, "Email": "anna@readers.example.org"},
    "DeleteReceiver": lambda w: {"ReceiverId": w.list.pk},
    "DeleteTemplate": lambda w: {"TemplateId": w.draft.pk},
    "DeleteTag": lambda w: {"TagId": w.tag.pk},
    "DeleteValidateFile": lambda w: {"FileId": w.file.token},
    "DedicatedIpPoolDelete": lambda w: {"Id": SourcePool.objects.create(account=w.account, name="empty").pk},
    "ConfigSetDelete": lambda w: {"Ids": w.config_set.pk, "IsForce": True},
    "DeleteMailAddress": lambda w: {"MailAddressId": w.codes.pk},
    "DeleteDomain": lambda w: {"DomainId": DomainFactory(account=w.account).pk},
}

# These name nothing of the account's: there is nothing to be found or not.
ABOUT_NOTHING = {
    *("GetSuppressionListLevel", "SetSuppressionListLevel", "DescAccountSummary", "GetUser", "UpdateUser"),
    *("GetIpfilterList", "GetIpProtection", "ValidateEmail", "CheckDisposable", "GetValidationQuota"),
    *("AuthorizeFileUpload", "CreateDomain", "CreateTag", "CreateReceiver", "CreateTemplate", "CreateUserSuppression"),
    *("AddIpfilter", "DedicatedIpPoolCreate", "ConfigSetCreate", "DedicatedIpNonePoolList", "UpdateIpProtection"),
}
# These answer a stranger with an empty list: where the rows stand.
LISTS = {
    "QueryDomainByParam": ("data", "domain"),
    "QueryMailAddressByParam": ("data", "mailAddress"),
    "QueryTagByParam": ("data", "tag"),
    "QueryReceiverByParam": ("data", "receiver"),
    "QueryTemplateByParam": ("data", "template"),
    "QueryTaskByParam": ("data", "task"),
    "QueryInvalidAddress": ("data", "mailDetail"),
    "ListUserSuppression": ("Data", "UserSuppressions"),
    "ListBlockSending": ("Data",),
    "ListValidateFile": ("Files",),
    "DedicatedIpList": ("Ips",),
    "ConfigSetList": ("ConfigSets",),
}


@pytest.fixture
def world(account, settings):
    settings.MAILPUSH_SOURCE_IPS = {f"account-{account.pk}": [IP, "127.0.0.10"]}
    settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", 9)]  # nobody answers
    return World(account, "mine")


@pytest.fixture(autouse=True)
def _dns_is_silent(monkeypatch):
    """Nothing here is about DNS, and waiting for it takes seconds."""
    from mailpush.lib import dns

    monkeypatch.setattr(dns, "GIVE_UP_AFTER", 0.05)


def test_every_operation_of_the_sdks_is_here():
    assert set(DOCUMENTED) | {"AuthorizeFileUpload"} == set(registry.OPERATIONS) | set(registry.GONE)
    assert set(CALLS) == set(registry.OPERATIONS)


@pytest.mark.parametrize("action", list(CALLS))
def test_answers_have_the_parts_and_types_that_sdks_read(api, world, action):
    answer = api(action, **CALLS[action](world))

    if action in DOCUMENTED:
        must_be(answer, DOCUMENTED[action]["response"], action)


def must_be(value, wanted, where):
    """Compare an answer with a tree of names and types; lists must have something to compare."""
    if isinstance(wanted, dict):
        assert isinstance(value, dict), where
        assert set(value) == set(wanted), where
        for name, inner in wanted.items():
            must_be(value[name], inner, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(value, list), where
        assert value or where.endswith((".Info", ".Detail", "StatusList")), f"{where} is empty"
        for each in value:
            must_be(each, wanted[0], f"{where}[]")
    else:
        assert type(value) is TYPES[wanted], f"{where}: {value!r}"


@pytest.mark.parametrize("action", sorted(set(CALLS) - ABOUT_NOTHING))
def test_nobody_reaches_the_things_of_another_account(foreign_api, world, action):
    response = foreign_api.send(action, **CALLS[action](world))

    if action in LISTS:
        found = response.json()
        for name in LISTS[action]:
            found = found[name]
        assert found == []
    else:
        assert response.status_code == 404, response.content.decode()
        assert response.json()["Code"].endswith(".NotFound")


# Mandatory by the documents alone: they stand for SMS, or nothing changes without them.
LENIENT = {
    *("Remark", "SmsContent", "SmsType", "TemplateNickName", "TemplateSubject", "TemplateText", "TemplateName"),
    *("AccountName", "Version"),
}
ASKED_FOR = {name: set(DOCUMENTED[name]["required"]) - LENIENT for name in CALLS if name in DOCUMENTED}


@pytest.mark.parametrize("action", [name for name, parameters in ASKED_FOR.items() if parameters])
def test_what_is_mandatory_is_asked_for(api, action):
    assert api.refusal(action).startswith("Missing")


@pytest.mark.parametrize("name", ["QueryTagByParam", "QueryTaskByParam", "QueryReceiverByParam"])
def test_pages_are_bounded(api, name):
    for bad in ({"PageNo": 0}, {"PageSize": 0}, {"PageSize": 501}, {"PageNo": "x"}):
        assert api.refusal(name, **bad).endswith(".Malformed")


def test_limits_can_be_set_for_an_account(account):
    limit = OperationLimit.objects.create(account=account, operation="GetUser", calls=5, seconds=2)

    assert str(limit) == f"{account}: GetUser 5 / 2 s"

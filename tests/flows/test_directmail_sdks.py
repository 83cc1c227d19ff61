"""DirectMail's official SDKs, unmodified, with nothing but another endpoint and other keys."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import requests

from mailpush.mail.certificate import server_context
from mailpush.sandbox.world import World
from tests.flows.sdks.clients import COMMANDS, Failed, Sdk
from tests.threaded import InThread

OPERATIONS = json.loads((Path(__file__).parents[1] / "mailpush" / "rpc" / "operations.json").read_text())
CURRENT = {name for name, operation in OPERATIONS.items() if operation["current"]}
IN_1_0_0 = {name for name, operation in OPERATIONS.items() if operation["first"] == "1.0.0"}
OLD = {"dm-1.0.0", "core", "pop-core"}  # they know, or do not care, what DirectMail has given up
PASSWORD = "correct horse battery"
ALL_SIGNS = 'a+b&c=d*~\'()!/?#[]@%41"x" <b>你好 😀\u2028</b>'

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def reviewer(platform):
    platform.manage("create_account", "sdk-reviewer@example.com", "--password", PASSWORD, "--staff")
    return Reviewer(platform.url, "sdk-reviewer@example.com")


class Reviewer:
    """Who approves templates in the admin."""

    def __init__(self, url, email):
        self.url, self.session = url, requests.Session()
        self._at_the_desk = threading.Lock()
        self._post("/accounts/login/", {"login": email, "password": PASSWORD})

    def approve(self, template_id):
        with self._at_the_desk:
            page = self.session.get(f"{self.url}/admin/templates_app/template/{template_id}/change/").text
            seen = re.search(r'name="content_hash" value="([0-9a-f]{64})"', page)[1]
            self._post(f"/admin/templates_app/template/{template_id}/decide/", {"content_hash": seen, "approve": "1"})

    def _post(self, path, fields):
        if "csrftoken" not in self.session.cookies:
            self.session.get(f"{self.url}/accounts/login/")
        token = self.session.cookies["csrftoken"]
        headers = {"X-CSRFToken": token, "Referer": self.url}
        self.session.post(f"{self.url}{path}", fields, headers=headers).raise_for_status()


def customer(platform, name):
    """Return an access key of a new account."""
    email = f"{name.replace('.', '')}@customers.example.com"
    platform.manage("create_account", email, "--password", PASSWORD)
    return platform.manage("create_access_key", email)


@pytest.fixture
def sdk_of(platform):
    """Open SDKs, and close them at the end."""
    opened = []

    def open_one(name, key, **options):
        opened.append(Sdk(name, key, f"127.0.0.1:{platform.web_port}", **options))
        return opened[-1]

    yield open_one
    for sdk in opened:
        sdk.close()


def eventually(ask, seconds=90):
    """Ask until there is an answer."""
    end = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < end, "Waited in vain."
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def journeys(platform, reviewer):
    """The journeys through all SDKs, side by side: the most of each is waiting."""
    with ThreadPoolExecutor(len(COMMANDS)) as pool:
        yield {name: pool.submit(travel, platform, reviewer, name) for name in COMMANDS}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_whole_journey_through_an_sdk_alone(journeys, name):
    journeys[name].result()


def travel(platform, reviewer, name):
    key, endpoint = customer(platform, f"journey-{name}"), f"127.0.0.1:{platform.web_port}"
    with closing(Sdk(name, key, endpoint)) as sdk, closing(Sdk("core", key, endpoint)) as core:
        # Its newest version cannot write templates, only read them.
        go_all_the_way(Journey(sdk, platform, reviewer, writer=core if name == "dm-js" else sdk))


def go_all_the_way(journey):
    journey.prove_domain()
    journey.create_senders()
    journey.sort_by_tags()
    journey.fill_list()
    journey.write_template()
    journey.send_single()
    journey.send_batches()
    journey.read_results()
    journey.manage_suppressions()
    journey.look_after_account()
    is_oldest = journey.sdk.name == "dm-1.0.0"
    if not is_oldest:
        journey.use_what_came_later()
    journey.ask_for_what_is_gone()
    journey.clean_up()

    assert journey.sdk.called | journey.writer.called >= (IN_1_0_0 if is_oldest else CURRENT)


class Journey:
    """What a customer does, in its order."""

    def __init__(self, sdk, platform, reviewer, writer=None):
        self.sdk, self.platform, self.reviewer = sdk, platform, reviewer
        self.writer = writer or sdk  # of what the newest npm package does not know yet
        self.world = World(platform.places.sandbox)
        self.label = re.sub(r"[^a-z]", "", sdk.name) + ("old" if "1.0.0" in sdk.name else "")
        self.domain = f"{self.label}.example.com"
        self.readers = f"{self.label}-readers.example.org"

    def prove_domain(self):
        sdk = self.sdk
        self.domain_id = sdk("CreateDomain", DomainName=self.domain, dkimSelector="main")["DomainId"]
        if sdk.name != "dm-1.0.0":
            changed = sdk("ChangeDomainDkimRecord", Domain=self.domain, DkimRsaLength=1024)
            assert (changed["Changed"], changed["DkimRsaLength"]) == (True, 1024)
        assert sdk("CheckDomain", DomainId=int(self.domain_id))["DomainStatus"] == 1
        records = sdk("DescDomain", DomainId=int(self.domain_id))
        zone = records["TlDomainName"]
        host = f"{records['HostRecord']}.{zone}" if "HostRecord" in records else f"mailpush.{self.domain}"
        self.world.publish(host, "TXT", records["DomainType"])
        self.world.publish(self.domain, "TXT", records.get("SpfRecordV2") or f"v=spf1 {records['SpfRecord']} -all")
        self.world.publish(self.domain, "MX", f"10 {records['MxRecord']}.")
        self.world.publish(f"{records['CnameRecord']}.{zone}", "CNAME", f"{records['TracefRecord']}.")
        if "DkimRR" in records:
            self.world.publish(f"{records['DkimRR']}.{zone}", "TXT", records["DkimPublicKey"])
            self.world.publish(f"{records['DmarcHostRecord']}.{zone}", "TXT", records["DmarcRecord"])
        # The sandbox's answers are kept for as long as their TTL says.
        eventually(lambda: sdk("CheckDomain", DomainId=int(self.domain_id))["DomainStatus"] == 0)
        (listed,) = sdk("QueryDomainByParam", KeyWord=self.domain, Status=0)["data"]["domain"]
        assert (listed["DomainId"], listed["SpfAuthStatus"], listed["MxAuthStatus"]) == (self.domain_id, "0", "0")
        assert sdk("ModifyPWByDomain", DomainName=self.domain, Password="abcDEF1234")["Code"] == "OK"

    def create_senders(self):
        sdk, owner = self.sdk, f"owner@{self.readers}"
        self.news, self.codes = f"news@{self.domain}", f"codes@{self.domain}"
        news = sdk("CreateMailAddress", AccountName=self.news, Sendtype="batch", ReplyAddress=owner)["MailAddressId"]
        self.codes_id = sdk("CreateMailAddress", AccountName=self.codes, Sendtype="trigger")["MailAddressId"]
        sdk("ModifyMailAddress", MailAddressId=int(self.codes_id), Password="abcDEF1234")
        (asking,) = eventually(lambda: self.platform.inbox(owner))
        ticket = re.search(rb"/reply/([\w:.-]+)/", self._raw(asking))[1].decode()
        assert refusal(sdk, "CheckReplyToMailAddress", MailAddressId=int(news)) == "InvalidReplyAddress.AskedJustNow"
        sdk("ApproveReplyMailAddress", Ticket=ticket)
        if sdk.name != "dm-1.0.0":
            (listed,) = sdk("QueryMailAddressByParam", KeyWord="news@", Sendtype="batch")["data"]["mailAddress"]
            assert (listed["AccountName"], listed["ReplyStatus"], listed["ReplyAddress"]) == (self.news, "0", owner)

    def _raw(self, mail):
        raw = World(self.platform.places.sandbox).mail(mail.id).raw
        return raw.replace(b"=\r\n", b"").replace(b"=3D", b"=")

    def sort_by_tags(self):
        sdk = self.sdk
        self.tag_id = sdk("CreateTag", TagName="draft", TagDescription="first")["TagId"]
        sdk("ModifyTag", TagId=int(self.tag_id), TagName="codes_1", TagDescription="verification")
        (tag,) = sdk("QueryTagByParam", KeyWord="codes")["data"]["tag"]
        assert tag["TagName"] == "codes_1"

    def fill_list(self):
        sdk = self.sdk
        self.alias = f"list@{self.domain}"
        made = sdk("CreateReceiver", ReceiversName="readers", ReceiversAlias=self.alias, Desc="all of them")
        self.list_id = made["ReceiverId"]
        rows = [
            {"e": f"anna@{self.readers}", "u": "Anna", "n": "安娜", "g": "女士", "b": "1990-01-01", "m": "13800000000"},
            {"e": f"ben@{self.readers}", "u": "Ben"},
            {"e": f"bounce@{self.readers}", "u": "Carl"},
            {"e": "no address"},
        ]
        saved = sdk("SaveReceiverDetail", ReceiverId=self.list_id, Detail=json.dumps(rows))
        assert (saved["SuccessCount"], saved["ErrorCount"]) == (3, 1)
        (listed,) = sdk("QueryReceiverByParam", KeyWord="readers")["data"]["receiver"]
        assert (listed["Count"], listed["ReceiversStatus"]) == ("3", "1")
        details = sdk("QueryReceiverDetail", ReceiverId=self.list_id, KeyWord="anna")
        assert [each["Email"] for each in details["data"]["detail"]] == [f"anna@{self.readers}"]
        if sdk.name != "dm-1.0.0":
            custom = [{"Email": f"dora@{self.readers}", "CustomData": {"UserName": "Dora"}}]
            assert (
                sdk("SaveReceiverDetail", ReceiverId=self.list_id, CustomDetail=json.dumps(custom))["SuccessCount"] == 1
            )
        sdk("DeleteReceiverDetail", ReceiverId=self.list_id, Email=f"ben@{self.readers}")

    def write_template(self):
        sdk = self.sdk
        texts = {"TemplateSubject": "Hello {UserName}", "TemplateText": "<p>Dear {UserName}, 你好</p>"}
        template = {"TemplateName": "welcome", "TemplateNickName": "Example", "TemplateType": 0, **texts}
        self.template_id = int(self.writer("CreateTemplate", **template, FromType=0)["TemplateId"])
        more = {"TemplateId": self.template_id, "Remark": "-", "SmsContent": "-", "SmsType": 0}
        self.writer("ModifyTemplate", **more, **template | {"TemplateText": "<p>Dear {UserName}, 您好</p>"})
        assert sdk("DescTemplate", TemplateId=self.template_id)["TemplateStatus"] == "1"
        self.reviewer.approve(self.template_id)
        (listed,) = sdk("QueryTemplateByParam", KeyWord="welcome")["data"]["template"]
        assert (listed["TemplateId"], listed["TemplateStatus"]) == (str(self.template_id), "2")
        if sdk.name in OLD:  # what is approved cannot be submitted again
            approved = refusal(sdk, "ApproveTemplate", TemplateId=self.template_id, FromType=0)
            assert approved == "InvalidTemplateStatus.Malformed"

    def send_single(self):
        sdk, to = self.sdk, f"zoe@{self.readers}"
        letter = {
            "AccountName": self.codes,
            "AddressType": 1,
            "ReplyToAddress": False,
            "ToAddress": f"{to},yan+tag@{self.readers}",
            "Subject": f"Your code {ALL_SIGNS}".replace("\u2028", " "),
            "HtmlBody": f"<html><body><p>{ALL_SIGNS}</p></body></html>",
            "TextBody": ALL_SIGNS,
            "FromAlias": "小红",
            "TagName": "codes_1",
            "ClickTrace": "0",
        }
        assert sdk("SingleSendMail", **letter)["EnvId"].isdigit()
        (arrived,) = eventually(lambda: self.platform.inbox(to))
        mail = self._mail(arrived)
        assert mail["Subject"] == letter["Subject"]
        assert mail["From"].addresses[0].display_name == "小红"
        assert mail.get_body(("html",)).get_content().replace("\r\n", "\n").strip() == letter["HtmlBody"]
        assert [address.addr_spec for address in mail["To"].addresses] == [to, f"yan+tag@{self.readers}"]
        sdk("SendTestByTemplate", AccountName=self.codes, Email=f"test@{self.readers}", TemplateId=self.template_id,
            UserName="Tess")  # fmt: skip
        (tested,) = eventually(lambda: self.platform.inbox(f"test@{self.readers}"))
        assert tested.subject == "Hello Tess"

    def _mail(self, arrived):
        return message_from_bytes(World(self.platform.places.sandbox).mail(arrived.id).raw, policy=policy.default)

    def send_batches(self):
        sdk = self.sdk
        order = {"AccountName": self.news, "AddressType": 0, "TemplateName": "welcome", "TagName": "codes_1"}
        sdk("BatchSendMail", **order, ReceiversName="readers", ClickTrace="0")
        eventually(lambda: sdk("QueryTaskByParam", KeyWord="welcome", Status=1)["TotalCount"] == 1)
        sdk("BatchSendMail", **order, ReceiversName=self.alias)
        eventually(lambda: sdk("QueryTaskByParam", KeyWord="readers", Status=1)["TotalCount"] == 2)
        assert {mail.subject for mail in self.platform.inbox(f"anna@{self.readers}")} == {"Hello Anna"}

    def read_results(self):
        sdk, today = self.sdk, time.strftime("%Y-%m-%d", time.gmtime())
        days = {"StartTime": today, "EndTime": today}
        moments = {"StartTime": f"{today} 00:00", "EndTime": f"{today} 23:59"}

        def figures():
            stat = sdk("SenderStatisticsByTagNameAndBatchID", AccountName=self.news, TagName="codes_1", **days)
            found = stat["data"]["stat"]
            return found and found[0]["unavailableCount"] != "0" and found[0]

        if sdk.name == "dm":  # figures are rolled up every half minute: one wait is enough
            assert re.fullmatch(r"\d+\.\d\d%", eventually(figures)["succeededPercent"])
        details = sdk("SenderStatisticsDetailByParam", AccountName=self.news, **moments, Length=100)
        by_address = {each["ToAddress"]: each for each in details["data"]["mailDetail"]}
        assert by_address[f"anna@{self.readers}"]["Status"] == 0
        assert by_address[f"bounce@{self.readers}"]["Status"] == 2
        spam = sdk("SenderStatisticsDetailByParam", Status=3, **moments)
        assert spam["data"]["mailDetail"] == []
        about = {"AccountName": self.news, "TagName": "codes_1", **days}
        tracked = sdk("GetTrackList", PageNumber="1", PageSize="10", **about)
        assert [each["RcptOpenCount"] for each in tracked["data"]["stat"]] == ["0"] * tracked["Total"]
        tracked = sdk("GetTrackListByMailFromAndTagName", **about)
        assert [each["RcptClickCount"] for each in tracked["TrackList"]["Stat"]] == ["0"] * tracked["Total"]
        if sdk.name != "dm":
            sdk("SenderStatisticsByTagNameAndBatchID", **about)

    def manage_suppressions(self):
        sdk, today = self.sdk, time.strftime("%Y-%m-%d", time.gmtime())
        bounced = f"bounce@{self.readers}"
        found = sdk("QueryInvalidAddress", KeyWord="bounce", StartTime=today, EndTime=today, Length=10)
        assert [each["ToAddress"] for each in found["data"]["mailDetail"]] == [bounced]
        sdk("DeleteInvalidAddress", ToAddress=bounced)
        assert sdk("QueryInvalidAddress", KeyWord="bounce")["TotalCount"] == 0

    def look_after_account(self):
        sdk = self.sdk
        summary = sdk("DescAccountSummary")
        assert (summary["Domains"], summary["MailAddresses"], summary["UserStatus"]) == (1, 3, 0)
        sdk("AddIpfilter", IpAddress="127.0.0.0/8")
        (entry,) = sdk("GetIpfilterList")["data"]["ipfilters"]
        assert entry["IpAddress"] == "127.0.0.0/8"
        sdk("UpdateIpProtection", IpProtection="1")
        assert sdk("GetIpProtection")["IpProtection"] == "1"
        sdk("UpdateIpProtection", IpProtection="0")
        sdk("DeleteIpfilterByEdmId", Id=entry["Id"], FromType=1)

    def use_what_came_later(self):
        self._send_as_later()
        self._suppress_as_later()
        self._configure()
        self._examine()

    def _send_as_later(self):
        sdk, to = self.sdk, f"wu@{self.readers}"
        template = {"TemplateId": str(self.template_id), "TemplateData": {"UserName": "Wu"}}
        letter = {"AccountName": self.news, "AddressType": 0, "ReplyToAddress": True, "Subject": "-"}
        headers = json.dumps({"X-User-Order": "42"})
        sdk("SingleSendMail", **letter, ToAddress=to, Template=template, UnSubscribeLinkType="default")
        sdk("SingleSendMail", **letter, ToAddress=f"xi@{self.readers}", BccAddress=f"boss@{self.readers}",
            TextBody="hello", Headers=headers)  # fmt: skip
        receivers = [{"To": [f"uma@{self.readers}"], "TemplateData": {"Animal": "owl"}}]
        content = {"Subject": "An {Animal}", "HtmlBody": "<p>{Animal}</p>", "Alias": "Zoo"}
        batch = {"AccountName": self.news, "AddressType": 1, "Receivers": receivers, "TemplateContent": content}
        self.writer("BatchSendMail", **batch)
        assert eventually(lambda: self.platform.inbox(to))[0].subject == "Hello Wu"
        assert eventually(lambda: self.platform.inbox(f"uma@{self.readers}"))[0].subject == "An owl"
        copied = self._mail(eventually(lambda: self.platform.inbox(f"boss@{self.readers}"))[0])
        assert (copied["X-User-Order"], copied["Bcc"]) == ("42", None)
        assert copied["To"] == f"xi@{self.readers}"

    def _suppress_as_later(self):
        sdk, address = self.sdk, f"quiet@{self.readers}"
        made = sdk("CreateUserSuppression", Address=address)["SuppressionId"]
        listed = sdk("ListUserSuppression", Address="quiet", PageNo=1, PageSize=10)["Data"]["UserSuppressions"]
        assert [(str(each["SuppressionId"]), each["Type"]) for each in listed] == [(made, "user")]
        sdk("RemoveUserSuppression", SuppressionIds=made)
        level = sdk("GetSuppressionListLevel")["SuppressionListLevel"]
        assert sdk("SetSuppressionListLevel", SuppressionListLevel=level)["SuppressionListLevel"] == level
        assert sdk("ListBlockSending", BlockType="UNSUB", MaxResults=10)["Data"] == []
        unblock = {"BlockType": "REPORT", "BlockEmail": address, "SenderEmail": self.news}
        assert refusal(sdk, "UnblockSending", **unblock) == "InvalidAddress.NotFound"
        assert sdk("GetUser")["Data"] == {"EnableEventbridge": False}
        sdk("UpdateUser", User={"EnableEventbridge": False})

    def _configure(self):
        sdk = self.sdk
        pool = sdk("DedicatedIpPoolCreate", Name="pool-1")["Id"]
        sdk("DedicatedIpPoolUpdate", Id=pool, BuyResourceIds="", UpdateResource=True)
        assert [each["Id"] for each in sdk("DedicatedIpPoolList", All=True)["IpPools"]] == [pool]
        assert sdk("DedicatedIpList", PageIndex=1, PageSize=10)["Ips"] == []
        assert sdk("DedicatedIpNonePoolList")["Ips"] == []
        assert refusal(sdk, "DedicatedIpChangeWarmupType", Id="192.0.2.1", WarmupType="x") == "InvalidIP.NotFound"
        assert sdk("GetDedicatedIpWarmUpInfo")["Info"] == []
        assert sdk("GetDedicatedIpWarmUpDetail")["Detail"] == []
        option = {"Enabled": True, "ForbiddenStatusList": ["DO_NOT_MAIL"], "ForbiddenSubStatusList": []}
        made = sdk("ConfigSetCreate", Name="strict", Description="d", IpPoolId=pool, ValidationOption=option)["Id"]
        assert sdk("ConfigSetDetail", Id=made)["Detail"]["IpPool"]["IpPoolId"] == pool
        self.writer("ConfigSetUpdate", Id=made, Name="stricter", ValidationOption=option)
        assert self.writer("ConfigSetDetail", Id=made)["Detail"]["ValidationOption"] == option
        assert sdk("ConfigSetRelationFromAddress", Id=made, FromAddress=self.codes)["Result"] is True
        (listed,) = sdk("ConfigSetList", PageIndex="1", PageSize="10")["ConfigSets"]
        assert listed["FromAddresses"] == [self.codes]
        letter = {"AccountName": self.codes, "AddressType": 1, "ReplyToAddress": False, "Subject": "s", "TextBody": "t"}
        assert refusal(sdk, "SingleSendMail", **letter, ToAddress="x@mailinator.com") == "InvalidToAddress.Refused"
        assert sdk("ConfigSetCancelRelationFromAddress", Id=made, FromAddress=self.codes)["Result"] is True
        sdk("ConfigSetDelete", Ids=made, IsForce=False)
        sdk("DedicatedIpPoolDelete", Id=pool)

    def _examine(self):
        sdk = self.sdk
        anna = sdk("ValidateEmail", Email=f"anna@{self.readers}", ProbeType="BASIC_ONLY", CheckGraylist=False)
        assert (anna["Status"], anna["SubStatus"], anna["LocalPart"]) == ("VALID", "DELIVERED_BEFORE", "anna")
        assert sdk("ValidateEmail", Email="a@nxdomain.example.org")["SubStatus"] == "NO_DNS_ENTRIES"
        assert sdk("CheckDisposable", Email="a@mailinator.com")["IsDisposable"] == "true"
        assert sdk("GetValidationQuota")["TotalQuota"] > 0
        file = {"FileName": "f.csv", "AddressColumn": 1, "HasHeaderRow": False, "RemoveDuplicate": True}
        assert refusal(sdk, "SendValidateFile", FileUrl="http://127.0.0.1/f.csv", **file) == "InvalidFileUrl"
        for action in ("GetValidateFile", "GetValidateFileStatus", "DeleteValidateFile"):
            assert refusal(sdk, action, FileId="nothing") == "InvalidFileId.NotFound"
        span = {"StartTime": "2026-01-01T00:00:00Z", "EndTime": "2100-01-01T00:00:00Z"}
        assert sdk("ListValidateFile", **span, Page=1, PageSize=10)["Files"] == []

    def ask_for_what_is_gone(self):
        """Ask for what cannot exist on one's own machines, and for what DirectMail itself has given up."""
        sdk = self.sdk
        asked = {"DedicatedIpAutoRenewal": {"AutoRenewal": "true", "BuyResourceIds": "x"}}
        asked |= {name: {} for name in ("GetSendifyInfo", "GetSendifyAutoLoginURL", "OpenSendifyTrialService")}
        gone = {name: {} for name, operation in OPERATIONS.items() if not operation["current"]}
        gone.pop("ApproveTemplate")
        if sdk.name == "dm-1.0.0":
            asked = gone
        elif sdk.name in OLD:
            asked |= gone
        for action, params in asked.items():
            assert refusal(sdk, action, **params) == "OperationUnsupported.Gone", action

    def clean_up(self):
        sdk = self.sdk
        self.writer("DeleteTemplate", TemplateId=self.template_id, FromType=1)
        sdk("DeleteReceiver", ReceiverId=self.list_id)
        sdk("DeleteTag", TagId=int(self.tag_id))
        assert refusal(sdk, "DeleteDomain", DomainId=int(self.domain_id)) == "InvalidDomain.InUse"
        sdk("DeleteMailAddress", MailAddressId=int(self.codes_id))
        if sdk.name != "dm-1.0.0":
            for each in sdk("QueryMailAddressByParam")["data"]["mailAddress"]:
                sdk("DeleteMailAddress", MailAddressId=int(each["MailAddressId"]))
            sdk("DeleteDomain", DomainId=int(self.domain_id))
            assert sdk("QueryDomainByParam")["TotalCount"] == 0


def refusal(sdk, action, **params):
    """Return the code that a call is refused with."""
    with pytest.raises(Failed) as refused:
        sdk(action, **params)
    return refused.value.code


# What SDKs raise


@pytest.fixture(scope="module")
def key(platform):
    return customer(platform, "sdks")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dm", "ClientException"),
        ("dm-1.0.0", None),
        ("core", "ServerException"),
        ("dm-js", "ClientError"),
        ("pop-core", "SignatureDoesNotMatchError"),
    ],
)
def test_a_wrong_secret_raises_what_the_sdk_documents(sdk_of, key, name, kind):
    sdk = sdk_of(name, key | {"access_key_secret": "another"})

    with pytest.raises(Failed) as refused:
        sdk("QueryTagByParam")

    # The core client compares the string to sign with its own, and so knows better what is wrong.
    assert refused.value.code == ("InvalidAccessKeySecret" if name == "core" else "SignatureDoesNotMatch")
    assert kind is None or refused.value.type == kind


@pytest.mark.parametrize("name", ["dm", "dm-js"])
@pytest.mark.parametrize("algorithm", ["v2", "ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"])
def test_all_signatures_of_the_new_sdks(sdk_of, key, name, algorithm):
    sdk = sdk_of(name, key, signature_algorithm=algorithm)

    assert "TotalCount" in sdk("QueryTagByParam", KeyWord=ALL_SIGNS.replace("\u2028", ""))


def test_throttling_raises_what_the_sdk_documents(platform, sdk_of):
    sdk = sdk_of("dm", customer(platform, "throttled"))

    codes = [refusal(sdk, "QueryReceiverDetail", ReceiverId="1") for _ in range(3)]

    assert codes == ["InvalidReceiver.NotFound", "InvalidReceiver.NotFound", "Throttling.User"]
    with pytest.raises(Failed) as refused:
        sdk("QueryReceiverDetail", ReceiverId="1")
    assert (refused.value.type, refused.value.retry_after > 0) == ("ThrottlingException", True)


@pytest.mark.parametrize(("name", "method"), [("core", "POST"), ("core", "GET"), ("pop-core", "GET")])
@pytest.mark.parametrize("html", ["<b>" * 27_000, "你" * 27_000])
def test_80_kb_of_html_go_through_the_url(sdk_of, key, name, method, html):
    sdk = sdk_of(name, key)

    with pytest.raises(Failed) as refused:
        sdk.send("SingleSendMail", {"AccountName": "a@b.example.com", "HtmlBody": html}, method=method)

    assert refused.value.code == "MissingAddressType"  # so everything was read, and the signature has fitted


@pytest.mark.parametrize("name", ["dm", "dm-js", "pop-core"])
def test_8_mb_of_html_go_through_the_body(sdk_of, key, name):
    params = {"AccountName": "a@b.example.com", "HtmlBody": "<b>你</b>" * 800_000}

    assert refusal(sdk_of(name, key), "SingleSendMail", **params) == "MissingAddressType"


def test_what_no_server_reads_is_told_in_the_envelope(platform):
    for head in (f"GET /?{'x' * 1_100_000} HTTP/1.1", "NONSENSE", "GET / HTTP/1.1\r\nBad Header: x"):
        with socket.create_connection(("127.0.0.1", platform.web_port)) as line:
            line.settimeout(10)
            with suppress(OSError):  # it does not read to the end
                line.sendall(f"{head}\r\nHost: x\r\n\r\n".encode())
            answer = b""
            with suppress(ConnectionResetError):
                while piece := line.recv(65536):
                    answer += piece
        assert b"application/json" in answer
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"RequestId", "HostId", "Code", "Message"}


# Attachments


def test_attachments_are_uploaded_and_sent_by_the_sdk(platform, reviewer, sdk_of):
    key = customer(platform, "attached")
    journey = Journey(sdk_of("dm", key), platform, reviewer)
    journey.label, journey.domain = "attached", "attached.example.com"
    journey.readers = "attached-readers.example.org"
    journey.prove_domain()
    journey.sdk("CreateMailAddress", AccountName="bills@attached.example.com", Sendtype="trigger")
    letter = {
        "AccountName": "bills@attached.example.com",
        "AddressType": 1,
        "ReplyToAddress": False,
        "ToAddress": f"payer@{journey.readers}",
        "Subject": "Your bill",
        "TextBody": "see the attachment",
    }
    settings = {**key, "endpoint": f"localhost:{platform.web_port}"}
    with TlsProxy("127.0.0.2", platform.web_port):
        command = [sys.executable, str(Path(__file__).parent / "sdks" / "attach.py")]
        arguments = [json.dumps(settings), "127.0.0.2", json.dumps(letter)]
        done = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    (arrived,) = eventually(lambda: platform.inbox(letter["ToAddress"]))
    (attached,) = journey._mail(arrived).iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("发票.txt", "text/plain")
    assert attached.get_payload(decode=True) == b"one\0two" * 1000


class TlsProxy(InThread):
    """What an operator has before the web process: TLS for the bucket's name."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    @asynccontextmanager
    async def opened(self):
        context = server_context("upload.localhost")
        server = await asyncio.start_server(self._connect, self.host, self.port, ssl=context)
        yield
        server.close()

    async def _connect(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))

    async def _pump(self, reader, writer):
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        with suppress(OSError):
            writer.close()

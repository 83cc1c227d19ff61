"""The providers and reply rules that are shipped.

Figures and texts: KumoMTA's shaping rules (policy-extras/shaping.toml and community/shaping.toml, 2026), the
providers' postmaster pages, and the wordings that senders report.
"""

from typing import NamedTuple

from django.utils.translation import gettext_noop as _

EVERYWHERE = ""
MINUTE, HOUR = 60, 3600
SLOW_DOWN, SUSPEND, RETRY, FAIL = "slow_down", "suspend", "retry", "fail"


class Shipped(NamedTuple):
    """A provider: limits for the whole installation."""

    name: str
    title: str
    mx_patterns: tuple[str, ...]
    connections: int
    mails_per_connection: int
    reason: str
    tls: str = "opportunistic"
    mails_per_minute: int | None = None


class ShippedRule(NamedTuple):
    """A reply rule; `key` begins with its provider's name, or with a hyphen for everywhere."""

    key: str
    pattern: str
    action: str
    seconds: int
    reason: str

    @property
    def provider(self) -> str:
        return self.key.partition("-")[0]


CAREFUL = _("The provider publishes no figures; few connections are what senders report to be borne.")

PROVIDERS = (
    Shipped(
        EVERYWHERE,
        _("All others"),
        (),
        10,
        100,
        _("Ten connections are the usual default of large senders. The server's own speed sets the pace."),
    ),
    Shipped(
        "qq",
        _("QQ Mail"),
        ("mx*.qq.com",),
        4,
        8,
        _("QQ Mail counts mails by sender, IP address and connection; four connections of eight mails are borne."),
        "required",
    ),
    Shipped(
        "exmail",
        _("Tencent Exmail"),
        ("mxbiz*.qq.com",),
        4,
        8,
        _("Tencent's company mail answers with QQ Mail's limits, counted apart from it."),
    ),
    Shipped(
        "163",
        _("NetEase (163, 126, yeah.net)"),
        ("*.netease.com",),
        4,
        7,
        _("NetEase counts mails by connection, hour and day; four connections of seven mails are borne."),
    ),
    Shipped("sina", _("Sina Mail"), ("*.sinamail.sina.com.cn",), 4, 10, CAREFUL),
    Shipped(
        "aliyun", _("Alibaba Mail"), ("mx*.mxhichina.com", "mx*.qiye.aliyun.com", "mx*.mail.aliyun.com"), 5, 20, CAREFUL
    ),
    Shipped(
        "gmail",
        _("Gmail and Google Workspace"),
        ("*.google.com", "*.googlemail.com"),
        5,
        50,
        _("Gmail asks bulk senders for TLS and few connections; five connections of fifty mails are borne."),
        "required",
    ),
    Shipped(
        "yahoo",
        _("Yahoo and AOL"),
        ("*.yahoodns.net",),
        10,
        20,
        _("Yahoo closes a connection after about twenty mails."),
    ),
    Shipped(
        "outlook",
        _("Outlook.com and Hotmail"),
        ("*.olc.protection.outlook.com",),
        5,
        50,
        _("Outlook.com limits connections by reputation; five connections of fifty mails are borne."),
    ),
    Shipped(
        "office365",
        _("Microsoft 365"),
        ("*.mail.protection.outlook.com", "*.mx.microsoft", "*.mail.protection.partner.outlook.cn"),
        5,
        50,
        _("Microsoft 365 limits new senders by IP address; five connections of fifty mails are borne."),
    ),
    Shipped(
        "icloud",
        _("iCloud Mail"),
        ("mx*.mail.icloud.com", "mx*.mail.me.com"),
        10,
        5,
        _("iCloud bears many connections with few mails each."),
    ),
)

RULES = (
    # QQ says all of this with 550, which elsewhere means a dead mailbox.
    ShippedRule(
        "qq-sender",
        r"(sender|domain) frequency limited",
        SUSPEND,
        HOUR,
        _("QQ Mail has had enough mails from this sender for now."),
    ),
    ShippedRule(
        "qq-ip",
        r"(ip|connection) frequency limited",
        SUSPEND,
        HOUR,
        _("QQ Mail has had enough mails from our IP address for now."),
    ),
    ShippedRule(
        "qq-recipient",
        r"mailbox unavailable or access denied",
        RETRY,
        0,
        _("This recipient of QQ Mail is getting too many mails at the moment."),
    ),
    ShippedRule(
        "qq-suspected",
        r"suspected (bounce )?(attack|spam)|connection denied",
        SLOW_DOWN,
        2 * HOUR,
        _("QQ Mail finds our traffic suspicious."),
    ),
    ShippedRule(
        "exmail-sender",
        r"(sender|domain) frequency limited",
        SUSPEND,
        HOUR,
        _("Tencent Exmail has had enough mails from this sender for now."),
    ),
    ShippedRule(
        "exmail-ip",
        r"(ip|connection) frequency limited",
        SUSPEND,
        HOUR,
        _("Tencent Exmail has had enough mails from our IP address for now."),
    ),
    ShippedRule(
        "exmail-recipient",
        r"mailbox unavailable or access denied",
        RETRY,
        0,
        _("This recipient of Tencent Exmail is getting too many mails at the moment."),
    ),
    # NetEase's codes: HL is about the host, MI about the conversation, RP about the recipients, DT about the mail.
    ShippedRule(
        "163-connections",
        r"\bHL:ICC\b|too many connections",
        SLOW_DOWN,
        HOUR,
        _("NetEase finds that we open too many connections."),
    ),
    ShippedRule(
        "163-daily",
        r"\bHL:I[FT]C\b|\bRP:(ORQ|TRC)\b",
        SUSPEND,
        HOUR,
        _("The limit that NetEase sets for an hour or a day has been reached."),
    ),
    ShippedRule(
        "163-session",
        r"\b(MI|RP):(DMC|SFQ|STC|DRC|CCL|CEL|QRC)\b",
        SLOW_DOWN,
        30 * MINUTE,
        _("NetEase finds that we send too many mails at once."),
    ),
    ShippedRule(
        "163-later",
        r"^4\d\d .{0,20}\bDT:SPM\b",
        SUSPEND,
        15 * MINUTE,
        _("NetEase takes our mails for unsolicited ones for now."),
    ),
    ShippedRule(
        "163-blocked",
        r"\bHL:(IPB|REP)\b",
        SUSPEND,
        2 * HOUR,
        _("NetEase has blocked our IP address for its reputation."),
    ),
    ShippedRule(
        "sina-rate",
        r"too (many|frequent|much)|connections? limit|exceed",
        SLOW_DOWN,
        HOUR,
        _("Sina Mail finds that we send too fast."),
    ),
    ShippedRule(
        "sina-host", r"client host rejected", SUSPEND, HOUR, _("Sina Mail takes nothing from our IP address for now.")
    ),
    ShippedRule(
        "aliyun-rate",
        r"\bsmtp\w*freq\b|too (many|frequent)|frequency|connection.{0,20}limit",
        SLOW_DOWN,
        HOUR,
        _("Alibaba Mail finds that we send too fast."),
    ),
    ShippedRule(
        "gmail-recipient",
        r"4\.2\.1 .{0,60}receiving mail (too quickly|at a rate)|5\.2\.1 .{0,60}receiving mail at a rate",
        RETRY,
        0,
        _("This recipient of Gmail is getting too many mails at the moment."),
    ),
    ShippedRule(
        "gmail-unusual",
        r"[45]\.7\.28\b|unusual rate",
        SLOW_DOWN,
        HOUR,
        _("Gmail has seen an unusual rate of mails from us."),
    ),
    ShippedRule(
        "gmail-reputation",
        r"4\.7\.0 .{0,80}(suspicious|reputation|unsolicited|our system has detected)",
        SUSPEND,
        HOUR,
        _("Gmail doubts our IP address or domain for now."),
    ),
    ShippedRule(
        "gmail-unproved",
        r"4\.7\.(26|27|29|30|32|40)\b",
        SLOW_DOWN,
        HOUR,
        _("Gmail limits mails whose sender is not proved by SPF, DKIM, DMARC and TLS."),
    ),
    ShippedRule(
        "gmail-connections",
        r"try again later, closing connection|too many concurrent",
        SLOW_DOWN,
        15 * MINUTE,
        _("Gmail wants fewer connections for now."),
    ),
    ShippedRule(
        "yahoo-complaints",
        r"\[(TSS|IPTS)0?5\]",
        SUSPEND,
        4 * HOUR,
        _("Yahoo defers all our mails after complaints of its users."),
    ),
    ShippedRule(
        "yahoo-volume",
        r"\[(TSS?|IPTS)0?[14]\]|deferred due to (unexpected volume|user complaints)",
        SUSPEND,
        2 * HOUR,
        _("Yahoo defers our mails for their unexpected volume or for complaints."),
    ),
    ShippedRule("yahoo-unusual", r"\[TSS?0?[2-3]\]", SLOW_DOWN, HOUR, _("Yahoo has seen unusual traffic from us.")),
    ShippedRule(
        "yahoo-blocked",
        r"\[BL\d+\]",
        SUSPEND,
        4 * HOUR,
        _("Yahoo takes nothing from our IP address while it is on a block list."),
    ),
    ShippedRule(
        "yahoo-session", r"max messages? per connection", RETRY, 0, _("Yahoo takes no more mails over one connection.")
    ),
    ShippedRule(
        "outlook-reputation",
        r"\bRP-00[123]\b|4\.7\.65[01]\b|temporarily rate limited",
        SUSPEND,
        30 * MINUTE,
        _("Outlook.com limits the mails from our IP address for its reputation."),
    ),
    ShippedRule(
        "outlook-blocked",
        r"\bS3(140|150)\b|on our block list",
        SUSPEND,
        2 * HOUR,
        _("Outlook.com has our network on its block list."),
    ),
    ShippedRule(
        "outlook-connections",
        r"4\.7\.652\b|maximum number of connections|max concurrent connections",
        SLOW_DOWN,
        HOUR,
        _("Outlook.com finds that we open too many connections."),
    ),
    ShippedRule(
        "outlook-busy",
        r"server busy|access denied, please try again later",
        SLOW_DOWN,
        30 * MINUTE,
        _("Outlook.com is busy, or wants less from us."),
    ),
    ShippedRule(
        "office365-throttled",
        r"4\.7\.[56]\d\d\b|server busy",
        SLOW_DOWN,
        30 * MINUTE,
        _("Microsoft 365 limits the mails from our IP address for now."),
    ),
    ShippedRule(
        "office365-blocked",
        r"5\.7\.(60[6-9]|6[1-4]\d)\b|banned sending ip",
        SUSPEND,
        4 * HOUR,
        _("Microsoft 365 takes nothing from our IP address."),
    ),
    ShippedRule(
        "icloud-later",
        r"^4\d\d .{0,10}(4\.7\.[01]|\[(HCM|BS)\d+\])|service unavailable",
        SUSPEND,
        15 * MINUTE,
        _("iCloud wants our mails later."),
    ),
    ShippedRule(
        "icloud-content", r"^554 .{0,10}5\.7\.1 \[CS\d+\]", FAIL, 0, _("iCloud refuses this mail by a rule of its own.")
    ),
    ShippedRule(
        "-greylisted", r"gr[ea]y-?\s?list", RETRY, 0, _("The receiving server wants this mail again a little later.")
    ),
    ShippedRule(
        "-reputation",
        r"rate limited due to .{0,20}reputation|temporarily deferred",
        SLOW_DOWN,
        90 * MINUTE,
        _("The receiving server limits our mails for the reputation of our IP address."),
    ),
    ShippedRule(
        "-busy",
        r"server (is )?(too )?busy|too many (concurrent |simultaneous )?connections",
        SLOW_DOWN,
        30 * MINUTE,
        _("The receiving server is busy, or wants fewer connections."),
    ),
)

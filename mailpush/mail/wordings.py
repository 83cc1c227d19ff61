"""The words in which mail servers refuse, by what they mean; where RFC 3463 codes are misused, these decide."""

from enum import StrEnum

import re2


class Failure(StrEnum):
    """Why a message was not accepted, as far as the server lets us know."""

    NO_MAILBOX = "no_mailbox"
    MAILBOX_FULL = "mailbox_full"  # full or disabled: exists, but takes nothing
    POLICY = "policy"  # spam, reputation, authentication, a rule of theirs
    RATE = "rate"  # slow down
    CONTENT = "content"  # this message: virus, size, malformed
    INFRASTRUCTURE = "infrastructure"  # their routing, storage or protocol, or ours
    TRANSIENT = "transient"  # greylisting and other "come back later"
    UNKNOWN = "unknown"


# Words are read in this order, and the first rule that speaks wins. Whoever tells us to slow down, or that we are
# not welcome, says nothing about the mailbox; so those rules stand before the ones that could condemn it.
# Where a wording belongs to one provider, the comment names it.
_FIRST: tuple[tuple[Failure, str], ...] = (
    # Greylisting is a wish for patience with one message, not for less of them.
    (Failure.TRANSIENT, r"gr[ea]y-?\s?list"),
    (Failure.INFRASTRUCTURE, r"too many hops|mail loop|routing loop"),
    (Failure.RATE, r"frequency limited"),  # QQ: 550 (Sender|Ip|Connection|Domain) frequency limited
    (Failure.RATE, r"mailbox unavailable or access denied"),  # QQ: this recipient gets too many at the moment
    # 163/126: too many from an address, over a connection, in an hour, in a day
    (Failure.RATE, r"\b(HL:I[CFT]C|(MI|RP):(DMC|SFQ|STC|DRC|CCL|CEL|QRC|ORQ|TRC))\b"),
    (Failure.RATE, r"\[(TSS?|IPTS)0\d\]|deferred due to (user complaints|unexpected volume)"),  # Yahoo
    (Failure.RATE, r"unusual rate|rate that prevents"),  # Gmail: 4.7.28, and 5.2.1 for one busy recipient
    (Failure.RATE, r"over rate limit|exceeded the rate limit|server busy.*AS\(|RP-00[12]\b"),  # Outlook
    (Failure.RATE, r"too (many|much|fast|frequent)|(rate|sending|connection|hourly|daily)[ -]?(limit|quota)"),
    (Failure.RATE, r"throttl|slow down|rate.?limit|exceed\w* .{0,30}(connections|rate|frequency)|\bSmtp\w+Freq\b"),
    (Failure.CONTENT, r"mail content denied"),  # QQ
    (Failure.CONTENT, r"illegal attachment|\bDT:SUM\b"),  # 163/126
    (Failure.CONTENT, r"virus|malware|phish(ing)? (link|url)|blocked attachment|SmtpContSpam"),
    (Failure.CONTENT, r"message .{0,20}(too (big|large)|exceeds? .{0,30}size)|size (limit )?exceed|mail ?size limit"),
    (Failure.CONTENT, r"not RFC 5?[38]22 compliant|(missing|invalid|multiple) .{0,20}(from|message-id|date)\W? header"),
    (Failure.POLICY, r"suspected spam|mail is rejected by recipients"),  # QQ: the recipient's own filter
    # 163/126: spam, block lists, addresses that are not allowed, sender authentication
    (Failure.POLICY, r"\b(DT:(SPM|RBL)|HL:(REP|MEP|IPB|IHU)|WM:BL[IU]|MI:(SPF|DMA|NHD|IMF|SPB|FCL))\b"),
    (Failure.POLICY, r"client host rejected|(sina|mx)\S* .{0,40}reject(ed)? by (content )?spam"),  # Sina, Aliyun
    (Failure.POLICY, r"S3140|S3150|AS\(\d+\)|blocked using|banned sending IP"),  # Outlook
    (Failure.POLICY, r"spam|junk|black-?\s?list|block-?\s?list|\bRBL\b|\bDNSBL\b|reputation|unsolicited|abuse"),
    (Failure.POLICY, r"\bSPF\b|\bDKIM\b|\bDMARC\b|reverse DNS|\bPTR\b|unauthenticated|authentication required"),
    (
        Failure.POLICY,
        r"polic(y|ies)|not authori[sz]ed|access denied|prohibited|blocked|banned|relay(ing)? (access )?denied",
    ),
    (Failure.POLICY, r"unable to relay|relay not permitted|sender .{0,60}(rejected|denied|not (exist|found|allow))"),
    # How Chinese providers put it in the bounces they write
    (Failure.RATE, r"频率|过于频繁|发信(数量|过多|太多)|连接(数)?过多"),
    (
        Failure.CONTENT,
        r"内容.{0,12}(违规|违法|敏感|可疑|不合)|病毒|附件.{0,8}(过大|超|不允许)|邮件(过|太)大|超(过|出).{0,8}大小",
    ),
    (Failure.POLICY, r"垃圾邮件|拒收|黑名单|信誉|反垃圾|未通过.{0,6}(验证|认证)"),
)
_LATER: tuple[tuple[Failure, str], ...] = (
    (Failure.MAILBOX_FULL, r"(mailbox|user|account|recipient|quota)\W.{0,30}(is )?(full|over ?quota|exceeded)"),
    (
        Failure.MAILBOX_FULL,
        r"out of (storage|space)|over ?quota|storage (space )?exceed|exceeded .{0,30}(quota|storage)",
    ),
    # 163/126 and Sina: "User suspended", "User is locked"
    (Failure.MAILBOX_FULL, r"(mailbox|user|account)\W.{0,40}(disabled|inactive|suspend|locked|frozen|deactivat)"),
    (Failure.NO_MAILBOX, r"(doesn't|does not) have an? \S+ account|not a valid recipient"),  # Yahoo, with 554
    (Failure.NO_MAILBOX, r"S2017062302"),  # Outlook: 5.5.0 mailbox unavailable
    (Failure.NO_MAILBOX, r"recip(ient)? ?not ?found|\bRecipNotFound\b"),  # Exchange
    (
        Failure.NO_MAILBOX,
        r"(user|mailbox|recipient|account|address)\b.{0,60}(not (exist|found|known)|n't exist|unknown|no longer)",
    ),
    (
        Failure.NO_MAILBOX,
        r"(no such|unknown|invalid|non-?existent|no) .{0,20}(user|mailbox|recipient|account|address|local.?part)\b",
    ),
    (Failure.NO_MAILBOX, r"no mailbox here|email account that you tried to reach does not exist"),
    (Failure.NO_MAILBOX, r"invalid rcptto"),  # Aliyun
    (
        Failure.NO_MAILBOX,
        r"(用户|收件人|邮箱|帐号|账号|地址).{0,40}不存在|无此(用户|邮箱)|找不到.{0,6}(用户|收件人|邮箱)",
    ),
    (Failure.MAILBOX_FULL, r"邮箱.{0,12}(已满|满了)|(空间|容量).{0,6}(不足|已满|超)|超(过|出).{0,8}(容量|空间|配额)"),
    (Failure.MAILBOX_FULL, r"(邮箱|帐号|账号|用户).{0,12}(冻结|停用|禁用|锁定|注销)"),
    (Failure.INFRASTRUCTURE, r"域名.{0,8}(不存在|解析)|(无法|不能)连接|连接.{0,6}超时|投递超时"),
    (
        Failure.INFRASTRUCTURE,
        r"unrout(e?)able|(domain|host) (not found|does not exist)|DNS|routing|loop|timed? ?out|mx record",
    ),
)


class Wordings:
    """Rules in their order, looked for all at once: one by one they cost a worker tenths of a millisecond."""

    def __init__(self, rules: tuple[tuple[Failure, str], ...]) -> None:
        options = re2.Options()
        options.case_sensitive = False
        options.dot_nl = True
        self._failures = [failure for failure, _words in rules]
        self._patterns = re2.Set.SearchSet(options)
        for _failure, words in rules:
            self._patterns.Add(words)
        self._patterns.Compile()

    def find(self, words: str) -> Failure | None:
        """Return what the first rule that speaks says."""
        found = self._patterns.Match(words.encode("utf-8", "replace"))
        return self._failures[min(found)] if found else None


WORDINGS = Wordings(_FIRST)
LATER_WORDINGS = Wordings(_LATER)

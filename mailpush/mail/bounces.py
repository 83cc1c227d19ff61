"""Bounces without a status part: whom and what they speak of, found in their text.

Who wrote them is told by flufl.bounce (the detectors of GNU Mailman), what the server said by the wordings in
`replies`. Bounded, because the detectors' expressions are slow on lines that no mail system writes.
"""

import email
import email.policy
import logging
import re
from collections.abc import Sequence

from flufl.bounce import all_failures

from mailpush.mail.parts import Part
from mailpush.mail.replies import Failure, Reply, classify

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it tells of every detector it tries

MOST_BYTES = 24_576
MOST_LINES = 600
LONGEST_LINE = 256
WORDS = 500  # characters kept of what was said
MOST_WORDS = 2000  # looked at
MOST_REPLIES = 20
ASCII = bytes(number if number < 128 else ord("?") for number in range(256))  # noqa: PLR2004

REFUSED, FAILED, TRY_LATER = 550, 554, 450

LATER = re.compile(
    r"will (be retried|retry|keep trying|continue)|still being (retried|attempted)|not yet been delivered"
    r"|delivery .{0,20}delayed"
    r"|warning: (message|could not)|temporar(y|ily) (failure|delayed)|delivery status notification \(delay\)"
    r"|no action is required|继续尝试|再次尝试投递|稍后(会)?重试|投递延迟|延迟通知",
    re.IGNORECASE,
)
# The subjects of bounces; a mail by a daemon whose subject is another is not held for one.
SUBJECTS = re.compile(
    r"undeliver|returned (mail|to sender)|delivery (status|failure|failed|problem|has failed|report|notification)"
    r"|failure notice|mail delivery|could not be delivered|non.?deliver|bounce|rejected|unzustellbar|non remis"
    r"|退信|退回|投递失败|发送失败|未送达|无法投递|无法送达",
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(?<![\d.:/-])(?:#?([45]\d\d)[ \t]*(?:-[ \t]*)?(?:[ \t(#]*([45]\.\d{1,3}\.\d{1,3})\b)?"
    r"(?=[ \t:;,#)\u3000-\uffef]|$)"
    r"|#?\b([45]\.\d{1,3}\.\d{1,3})\b)[ \t):]*([^\n]*(?:\n[ \t]+[^\n]+)*)",
    re.MULTILINE,
)
_QUOTED_FROM = re.compile(
    r"^(-{2,}.{0,40}(original|copy|returned|below|header|message text|原(始)?邮件)|return-path:|received:)",
    re.IGNORECASE | re.MULTILINE,
)
TELLING = frozenset(Failure) - {Failure.UNKNOWN, Failure.TRANSIENT}


def addresses_in(content: bytes) -> tuple[set[str], set[str]]:
    """Return the recipients that the text calls failed for good, and for now."""
    lines = content[:MOST_BYTES].translate(ASCII).split(b"\n")[:MOST_LINES]
    bounded = email.message_from_bytes(b"\n".join(line[:LONGEST_LINE] for line in lines), policy=email.policy.compat32)
    if not bounded.get("From", "").strip():  # a detector takes one for granted
        del bounded["From"]
        bounded["From"] = "mailer-daemon"
    try:
        later, failed = all_failures(bounded)
    except Exception:  # noqa: BLE001 - whatever strangers' bytes do to a detector, they are no known bounce then
        return set(), set()
    return _text(failed), _text(later)


def _text(found: frozenset[bytes]) -> set[str]:
    return {address.decode("ascii", "replace").lower() for address in found if b"@" in address}


def own_words(found: Sequence[Part]) -> str:
    """Return the text a bounce has in front of the mail it returns."""
    readable = [part for part in found if part.kind in {"text/plain", "text/html"}][:2]
    text = "\n".join(_plain(part) for part in readable)[:MOST_BYTES]
    quoted = _QUOTED_FROM.search(text, 1)
    return text[: quoted.start()] if quoted and text[: quoted.start()].strip() else text


def _plain(part: Part) -> str:
    text = part.text(MOST_BYTES)
    return re.sub(r"<[/!a-zA-Z][^<>@]{0,300}>", " ", text) if part.kind == "text/html" else text


def reply_in(text: str, *, is_later: bool) -> Reply | None:
    """Return the reply that a text quotes: the most telling of those that look like one.

    Without any, the text itself is what the server said, as far as its words are known. Its code is then one that
    condemns no mailbox: such texts list what may be wrong as readily as what is.
    """
    replies = [_reply(text, found) for found in list(_REPLY.finditer(text))[:MOST_REPLIES]]
    telling = [reply for reply in replies if classify(reply) in TELLING]
    if telling or replies:
        return (telling or replies)[0]
    words = " ".join(text.split())
    reply = Reply(TRY_LATER if is_later else FAILED, words[:MOST_WORDS])
    return Reply(reply.code, words[:WORDS]) if words and classify(reply) in TELLING else None


def _reply(text: str, found: re.Match[str]) -> Reply:
    code, with_code, alone, words = found.groups()
    enhanced = with_code or alone or ""
    words = " ".join(words.split()).strip(" ()")
    if not words:  # "no mailbox here by that name. (#5.1.1)"
        line = text.rfind("\n", 0, found.start()) + 1
        words = text[line : found.start()].strip(" (#")
    number = int(code) if code else (REFUSED if enhanced.startswith("5") else TRY_LATER)
    return Reply(number, f"{enhanced} {words[:WORDS]}".strip())

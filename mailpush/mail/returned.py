"""What a mail that came back is, and what it says: bounce, delay, success, auto-reply, complaint or none of these."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailpush.mail import arf, autoreply, bounces, dsn
from mailpush.mail.parts import Part, parts
from mailpush.mail.replies import Reply

MENTIONED = 131_072  # characters in which our signed tokens are looked for
TOKEN = re.compile(r"(?<![0-9a-f])[0-9a-f]{36}(?![0-9a-f])", re.IGNORECASE)
MOST_TOKENS = 30
EMBEDDED = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
# In the returned header, the fields that name the message, ours first.
NAMING = ("x-mailpush-trace", "message-id", "return-path", "list-unsubscribe")


class Kind(StrEnum):
    """What it is."""

    BOUNCE = "bounce"
    DELAY = "delay"  # a server still tries
    NOTICE = "notice"  # delivered, relayed, "not spam": nothing to do
    AUTO_REPLY = "auto_reply"
    COMPLAINT = "complaint"
    OPT_OUT = "opt_out"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one mail says."""

    kind: Kind
    tokens: tuple[str, ...]  # may be signed by us, the surest first; whoever has the keys can tell
    reports: tuple[dsn.RecipientReport, ...] = ()
    words: str = ""  # for people

    def verdict(self, recipient: str) -> tuple[Reply | None, bool]:
        """Return what the server said of the message to `recipient`, and whether it speaks of that mailbox."""
        report = dsn.decisive(self.reports, recipient)
        return (report.reply, dsn.is_about(report, recipient)) if report else (None, False)

    def kind_for(self, recipient: str) -> Kind:
        """Return what it is for this recipient: one report may speak of several."""
        report = dsn.decisive(self.reports, recipient)
        return _kind_of(report.action) if report else self.kind


def read(content: bytes) -> Reading:
    """Read a mail of any shape: a few milliseconds and no more memory than a few copies of a part, whatever it is."""
    found = parts(content)
    reports, envelope_id = _reports(found)
    tokens = _tokens(found, envelope_id)
    if feedback := arf.read(found):
        return Reading(_feedback_kind(feedback), tokens, words=feedback.kind)
    if reports:
        worst = dsn.decisive(reports, "")
        assert worst
        return Reading(_kind_of(worst.action), tokens, reports, words=str(worst.reply))
    return _without_status(content, found, tokens)


def _reports(found: Sequence[Part]) -> tuple[tuple[dsn.RecipientReport, ...], str]:
    for part in found:
        if part.kind in dsn.STATUS_KINDS:
            notification = dsn.read(part)
            return notification.recipients, notification.envelope_id
    return (), ""


def _kind_of(action: str) -> Kind:
    return {"failed": Kind.BOUNCE, "delayed": Kind.DELAY}.get(action, Kind.NOTICE)


def _feedback_kind(feedback: arf.Feedback) -> Kind:
    if feedback.is_opt_out:
        return Kind.OPT_OUT
    return Kind.COMPLAINT if feedback.is_complaint else Kind.NOTICE


def _without_status(content: bytes, found: Sequence[Part], tokens: tuple[str, ...]) -> Reading:
    """Read what keeps to no standard. Whoever answers in a person's name is no mail system, whatever he writes."""
    header = found[0].header
    is_system = autoreply.is_from_daemon(header) or "x-failed-recipients" in header
    is_receipt = found[0].parameter("report-type").lower() == "disposition-notification"
    text = bounces.own_words(found)
    words = " ".join(text.split())[: bounces.WORDS]
    if not is_system and autoreply.is_automatic(header) and not is_receipt:
        return Reading(Kind.AUTO_REPLY, tokens, words=words)
    failed, later = bounces.addresses_in(content)
    subject = header.readable("subject")
    if is_receipt and not failed:
        return Reading(Kind.AUTO_REPLY, tokens, words=words)
    if not (failed or later or (is_system and (bounces.SUBJECTS.search(subject) or bounces.SUBJECTS.search(text)))):
        return Reading(Kind.AUTO_REPLY if autoreply.is_automatic(header) else Kind.OTHER, tokens, words=words)
    is_later = (later and not failed) or bool(bounces.LATER.search(f"{subject}\n{text}"))
    reply = bounces.reply_in(text, is_later=is_later) or Reply(bounces.TRY_LATER if is_later else bounces.FAILED, words)
    action = "delayed" if is_later else "failed"
    # The message's own recipient, where no other is named: most such texts are about one.
    finals = sorted(failed or later) or [""]
    reports = tuple(dsn.RecipientReport(final=final, original="", action=action, reply=reply) for final in finals)
    return Reading(_kind_of(action), tokens, reports, words=words)


def _tokens(found: Sequence[Part], envelope_id: str) -> tuple[str, ...]:
    """Return what looks like one of our tokens, from where it is surest to where it is merely mentioned."""
    texts = [envelope_id]
    for part in found:
        if part.kind in EMBEDDED:
            header = part.embedded_header()
            texts += [value for name in NAMING for value in header.all(name)]
    own = found[0].header
    texts += [*own.all("in-reply-to"), *own.all("references"), own["to"]]
    texts += [part.text() for part in found if part.kind in EMBEDDED or not part.kind.startswith("multipart/")]
    tokens: dict[str, None] = {}
    left = MENTIONED
    for text in texts:
        tokens.update((token.lower(), None) for token in TOKEN.findall(text[:left]))
        left -= len(text)
        if left <= 0 or len(tokens) >= MOST_TOKENS:
            break
    return tuple(tokens)[:MOST_TOKENS]

"""Complaints: feedback reports (RFC 5965) and what Outlook sends in their place."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailpush.mail.parts import Header, Part

REPORT_KIND = "message/feedback-report"
# RFC 5965 section 7.3, RFC 6430, RFC 6591: these do not say that a reader wants no more of it.
NO_COMPLAINTS = frozenset({"not-spam", "auth-failure", "dmarc", "virus"})
OPT_OUTS = frozenset({"opt-out", "opt-out-list"})
# Outlook's junk mail reports are the plain mail with this field in it.
OUTLOOK_MARK = "x-hmxmroriginalrecipient"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader's provider passes on."""

    kind: str  # abuse, fraud, opt-out, not-spam…
    recipient: str  # who complained; providers often leave it out

    @property
    def is_complaint(self) -> bool:
        return self.kind not in NO_COMPLAINTS | OPT_OUTS

    @property
    def is_opt_out(self) -> bool:
        return self.kind in OPT_OUTS


def read(found: Sequence[Part]) -> Feedback | None:
    """Return the feedback in a mail's parts; None where there is none."""
    for part in found:
        if part.kind == REPORT_KIND:
            report = Header(part.text().encode())
            kind = report["feedback-type"].partition(";")[0].strip().lower()
            return Feedback(kind or "abuse", _address(report["original-rcpt-to"] or report["removal-recipient"]))
        if part.kind == "message/rfc822" and OUTLOOK_MARK in (original := part.embedded_header()):
            return Feedback("abuse", _address(original[OUTLOOK_MARK]))
    return None


def _address(value: str) -> str:
    return value.removeprefix("rfc822;").strip("<> ")

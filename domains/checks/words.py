"""What checks say to people, in their language; programs read `outcome` and `reason`."""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from domains.models import RecordCheck

Kind = RecordCheck.Kind

PURPOSES = {
    Kind.OWNERSHIP: gettext_lazy("Proves that the domain is yours."),
    Kind.SPF: gettext_lazy("Lets our servers send for the domain."),
    Kind.MX: gettext_lazy("Brings bounces and complaints back to us."),
    Kind.DKIM: gettext_lazy("Receivers check our signature with this key. Large mailbox providers expect it."),
    Kind.DMARC: gettext_lazy("Tells receivers that SPF and DKIM count. Gmail and Yahoo ask bulk senders for it."),
    Kind.TRACKING: gettext_lazy("Lets opens and clicks be counted under your own name."),
}

PROVED_BY_ANOTHER = "proved_by_another"

REASONS = {
    "no_record": gettext_lazy("Missing: there is no such record."),
    "no_answer": gettext_lazy("DNS did not answer; we will try again."),
    "other_value": gettext_lazy("There are other TXT records here, but not this one."),
    "shared_preference": gettext_lazy("Other hosts share its priority. Ours must have the lowest number, alone."),
    "other_host_first": gettext_lazy("Another host comes first. Ours must have the lowest number, alone."),
    "other_host": gettext_lazy("The record points to another host."),
    "other_key": gettext_lazy("Another key is published, or part of it got lost on the way. Copy the whole value."),
    "revoked": gettext_lazy("The published key is revoked: p= is empty."),
    "bad_hash": gettext_lazy("The record does not allow SHA-256 (h=)."),
    "bad_policy": gettext_lazy("The record needs p=none, p=quarantine or p=reject."),
    "bad_syntax": gettext_lazy("The record cannot be read: look for typing errors."),
    "two_records": gettext_lazy("There is more than one such record; receivers then ignore them all. Keep one."),
    "not_included": gettext_lazy("The SPF record does not let our servers send. Add %(include)s to it."),
    "after_all": gettext_lazy("%(include)s stands after “all”, where nothing is read. Put it before."),
    "not_a_pass": gettext_lazy("%(include)s has a sign before it, so it does not pass. Remove the sign."),
    "too_many_lookups": gettext_lazy("The SPF record needs more than 10 DNS look-ups; receivers refuse that."),
    "broken_include": gettext_lazy("The SPF record includes a name that has none, so receivers refuse it."),
    "loop": gettext_lazy("The SPF record includes itself."),
    PROVED_BY_ANOTHER: gettext_lazy("Another account has proved this domain. If it is yours, write to the operator."),
}


def purpose(kind: RecordCheck.Kind) -> str:
    return str(PURPOSES[kind])


def result(check: RecordCheck) -> str:
    """Return what a check found as a sentence that says what to do."""
    if check.outcome == RecordCheck.Outcome.PASSED:
        return _("Passed")
    sentence = REASONS.get(check.reason)
    if sentence is None:
        return check.detail
    return str(sentence) % {"include": f"include:{settings.MAILPUSH_SPF_INCLUDE}"}

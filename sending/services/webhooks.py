"""Webhooks: made, changed, tried out, given a new secret, resumed, deleted; calls sent again."""

from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib import encryption
from mailpush.lib.refusals import Refusal
from mailpush.mail.addresses import BadDomain, to_ascii_domain
from sending.models.webhook import URL_LENGTH, EventKind, Webhook, WebhookCall
from sending.webhooks import outbound, signing

WEBHOOKS_AN_ACCOUNT = 20
OLD_SECRET_LASTS = timedelta(hours=24)
TRY_OUT = "webhook.test"  # the kind of the event that `try_out` sends


class BadUrl(Refusal):
    code = "bad_url"


class NoKinds(Refusal):
    code = "no_kinds"


class TooManyWebhooks(Refusal):
    code = "too_many_webhooks"


@transaction.atomic
def create(*, url: str, kinds: Collection[str], by: Actor, now: datetime) -> Webhook:
    """Tell this address from now on what happens.

    :raises BadUrl: it is no https address, or one that we do not call.
    :raises NoKinds: of nothing is to be told.
    :raises TooManyWebhooks: the account has WEBHOOKS_AN_ACCOUNT.
    """
    by.must(Permission.WORK)
    if Webhook.objects.for_account(by.account).count() >= WEBHOOKS_AN_ACCOUNT:
        raise TooManyWebhooks(
            _("An account has at most %(limit)s webhooks. Delete one that is no longer used.")
            % {"limit": WEBHOOKS_AN_ACCOUNT}
        )
    webhook = Webhook.objects.create(
        account=by.account,
        url=_well_formed(url),
        kinds=_in_order(kinds),
        encrypted_secret=encryption.encrypt(signing.new_secret()),
        created_at=now,
    )
    audit.record("webhook.created", by=by, target=webhook, kinds=webhook.kinds)
    return webhook


@transaction.atomic
def change(webhook: Webhook, *, url: str, kinds: Collection[str], by: Actor) -> None:
    """Call another address, or tell of other things. Calls that wait go to the new address.

    :raises BadUrl, NoKinds: as in `create`.
    """
    by.must(Permission.WORK)
    before = {"url": webhook.url, "kinds": webhook.kinds}
    webhook.url, webhook.kinds = _well_formed(url), _in_order(kinds)
    Webhook.objects.filter(pk=webhook.pk).update(url=webhook.url, kinds=webhook.kinds)
    audit.record("webhook.changed", by=by, target=webhook, kinds=webhook.kinds, before=before)


@transaction.atomic
def delete(webhook: Webhook, *, by: Actor) -> None:
    """Tell it nothing more; calls that wait are dropped."""
    by.must(Permission.WORK)
    audit.record("webhook.deleted", by=by, target=webhook)
    Webhook.objects.filter(pk=webhook.pk).delete()


@transaction.atomic
def renew_secret(webhook: Webhook, *, by: Actor, now: datetime) -> str:
    """Return a new secret. For a day calls are signed with both, so that no receiver misses one."""
    by.must(Permission.WORK)
    secret = signing.new_secret()
    current = Webhook.objects.select_for_update().get(pk=webhook.pk)
    current.encrypted_old_secret, current.old_secret_until = current.encrypted_secret, now + OLD_SECRET_LASTS
    current.encrypted_secret = encryption.encrypt(secret)
    current.save(update_fields=["encrypted_secret", "encrypted_old_secret", "old_secret_until"])
    audit.record("webhook.secret_renewed", by=by, target=webhook)
    return secret


@transaction.atomic
def pause(webhook: Webhook, *, by: Actor, now: datetime) -> None:
    """Let calls wait until it is resumed."""
    by.must(Permission.WORK)
    if Webhook.objects.filter(pk=webhook.pk, paused_at=None).update(paused_at=now, pause_reason=""):
        audit.record("webhook.paused", by=by, target=webhook)


@transaction.atomic
def resume(webhook: Webhook, *, by: Actor, now: datetime) -> None:
    """Call it again, first with all that has waited."""
    by.must(Permission.WORK)
    paused = Webhook.objects.filter(pk=webhook.pk).exclude(paused_at=None)
    if paused.update(paused_at=None, pause_reason="", failing_since=None):
        webhook.calls.filter(status=WebhookCall.Status.WAITING).update(next_attempt_at=now, attempts=0)
        audit.record("webhook.resumed", by=by, target=webhook)


@transaction.atomic
def try_out(webhook: Webhook, *, by: Actor, now: datetime) -> WebhookCall:
    """Send it an event that nothing has caused."""
    by.must(Permission.WORK)
    event = {"id": f"test-{int(now.timestamp())}", "type": TRY_OUT, "at": now.isoformat(), "data": {}}
    call = WebhookCall.objects.create(webhook=webhook, events=[event], next_attempt_at=now, created_at=now)
    audit.record("webhook.tried_out", by=by, target=webhook)
    return call


@transaction.atomic
def send_again(call: WebhookCall, *, by: Actor, now: datetime) -> None:
    """Make a call once more, whatever became of it; it has the same id, so its receiver can tell."""
    by.must(Permission.WORK)
    again = WebhookCall.objects.filter(pk=call.pk, claimed_until=None)
    if again.update(status=WebhookCall.Status.WAITING, attempts=0, next_attempt_at=now, finished_at=None):
        audit.record("webhook.sent_again", by=by, target=call.webhook, call=call.pk)


def _in_order(kinds: Collection[str]) -> list[str]:
    chosen = [kind.value for kind in EventKind if kind in kinds]
    if not chosen:
        raise NoKinds(_("Choose at least one kind of event."), field="kinds")
    return chosen


def _well_formed(url: str) -> str:
    """Return the address with its host as DNS has it."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        host, place = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad_url() from error
    if not _is_plain(text, parts):
        raise _bad_url()
    shown = _host(host)
    address = parts._replace(netloc=shown if place is None else f"{shown}:{place}").geturl()
    if len(address) > URL_LENGTH:
        raise _bad_url()
    return address


def _is_plain(text: str, parts: SplitResult) -> bool:
    schemes = {"https", "http"} if settings.MAILPUSH_DELIVERY == "sandbox" else {"https"}
    is_line = text.isprintable() and " " not in text and (parts.path + parts.query).isascii()
    is_bare = parts.username is None and not parts.fragment
    return parts.scheme in schemes and bool(parts.hostname) and is_line and is_bare


def _host(host: str) -> str:
    """Return the host as it stands in an address; where its name leads is looked at before each call."""
    try:
        address = outbound.literal(host)
        name = host if address else to_ascii_domain(host)
    except BadDomain as error:
        raise _bad_url() from error
    if address and not outbound.may_be_called(address):
        raise BadUrl(_("%(host)s is not an address that we call.") % {"host": host}, field="url")
    return f"[{name}]" if ":" in name else name


def _bad_url() -> BadUrl:
    return BadUrl(
        _("Write an address that begins with https:// and has neither a password nor a fragment."), field="url"
    )

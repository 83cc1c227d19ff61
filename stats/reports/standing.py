"""How an account stands: what is being sent, and what needs its attention."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import quotas
from accounts.models import Account
from domains.models import Domain
from senders.models import Sender
from sending.models import Batch

MOVING = (Batch.Status.SCHEDULED, Batch.Status.PREPARING, Batch.Status.SENDING)
SHOWN = 5  # of each kind; the lists have the rest
PROBLEMS_STAY = timedelta(days=7)
NEARLY_SPENT = 90  # percent of a quota


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the word its readers use
    text: str
    url: str = ""
    is_serious: bool = True  # something is not sent because of it


def running_batches(account: Account) -> list[Batch]:
    """Return what is being sent, paused, or waits for its time, the newest first."""
    rows = Batch.objects.for_account(account).filter(status__in=(*MOVING, Batch.Status.PAUSED))
    return list(rows.order_by("-created_at", "-pk")[:SHOWN])


def warnings(account: Account, allowances: tuple[quotas.Allowance, ...], *, now: datetime) -> list[Warning]:
    return [
        *_about_account(account, allowances),
        *_about_domains(account),
        *_about_senders(account),
        *_about_batches(account, now=now),
    ]


def _about_account(account: Account, allowances: tuple[quotas.Allowance, ...]) -> Iterator[Warning]:
    if not account.is_active:
        yield Warning(_("This account is suspended and may not send. Ask the operator of this server why."))
    for allowance, name in zip(allowances, (_("daily"), _("monthly")), strict=True):
        if allowance.percent >= NEARLY_SPENT:
            text = _("%(percent)s %% of the %(name)s quota is spent; %(left)s messages are left.")
            words = {"percent": allowance.percent, "name": name, "left": f"{allowance.left:,}"}
            yield Warning(text % words, is_serious=not allowance.left)


def _about_domains(account: Account) -> Iterator[Warning]:
    domains = Domain.objects.for_account(account)
    suspended = domains.filter(status=Domain.Status.SUSPENDED).order_by("-pk")[:SHOWN]
    failing = domains.usable().filter(failing_since__isnull=False).order_by("failing_since")[:SHOWN]
    for domain in suspended:
        reason = (
            _("%(domain)s is held by the operator: nothing is sent from it.")
            if domain.is_held
            else _("%(domain)s is suspended, because its DNS records have been wrong for days.")
        )
        yield Warning(reason % {"domain": domain.display_name}, reverse("domains:detail", args=[domain.pk]))
    for domain in failing:
        text = _("The DNS records of %(domain)s are not right any more. Repair them before it is suspended.")
        url = reverse("domains:detail", args=[domain.pk])
        yield Warning(text % {"domain": domain.display_name}, url, is_serious=False)


def _about_senders(account: Account) -> Iterator[Warning]:
    for sender in Sender.objects.for_account(account).filter(is_frozen=True).order_by("-pk")[:SHOWN]:
        text = _("%(sender)s is frozen and may not send.") % {"sender": sender.address}
        yield Warning(text, reverse("senders:detail", args=[sender.pk]))


def _about_batches(account: Account, *, now: datetime) -> Iterator[Warning]:
    recent = Batch.objects.for_account(account).filter(created_at__gte=now - PROBLEMS_STAY)
    for batch in recent.exclude(problem="").order_by("-created_at")[:SHOWN]:
        text = _("“%(batch)s” was not sent: %(problem)s") % {"batch": batch.template_name, "problem": batch.problem}
        yield Warning(text, reverse("sending:batch", args=[batch.pk]))

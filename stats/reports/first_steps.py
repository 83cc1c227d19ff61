"""From an empty account to the first mail: what is done, what comes next, what is waited for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.db.models import Exists, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import Account, Permission
from domains.models import Domain
from recipients.models import RecipientList
from senders.models import Sender
from sending.models import Batch, Message
from stats.models import DailyFigure
from templates_app.models import Template


class State(StrEnum):
    DONE = "done"
    NEXT = "next"  # can be done now; of several the first one keeps this state
    WAITING = "waiting"  # somebody else has to do something first
    OPEN = "open"  # after an earlier one


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    icon: str
    state: State
    text: str  # what it is for, or how it stands
    action: str = ""  # words of the button; empty once there is nothing to do
    url: str = ""
    may_do: bool = False


Facts = dict[str, Any]


def has_sent(account: Account) -> bool:
    """Return whether the account has ever sent or ordered something, through any door."""
    ordered, accepted, counted = (
        Q(Exists(rows.filter(account=account))) for rows in (Batch.objects, Message.objects, DailyFigure.objects)
    )
    return Account.objects.filter(ordered | accepted | counted, pk=account.pk).exists()


def first_steps(by: Actor) -> list[Step]:
    """Return the five steps in their order; at most one is next."""
    facts = _facts(by.account)
    steps: list[Step] = []
    for permission, make in STEPS:
        step = make(facts)
        is_next = step.state == State.NEXT and all(earlier.state != State.NEXT for earlier in steps)
        state = State.OPEN if step.state == State.NEXT and not is_next else step.state
        steps.append(replace(step, state=state, may_do=by.may(permission)))
    return steps


def _facts(account: Account) -> Facts:
    domains = Domain.objects.for_account(account)
    lists = RecipientList.objects.for_account(account)
    templates = Template.objects.filter(account=account)
    questions = {
        "domain": domains,
        "usable_domain": domains.usable(),
        "sender": Sender.objects.for_account(account),
        "list": lists,
        "recipients": lists.filter(count__gt=0),
        "template": templates,
        "approved": templates.filter(approved__isnull=False),
        "pending": templates.filter(status=Template.Status.PENDING),
        "rejected": templates.filter(status=Template.Status.REJECTED),
    }
    answers = {name: Exists(rows) for name, rows in questions.items()}
    facts: Facts = Account.objects.filter(pk=account.pk).annotate(**answers).values(*questions).get()
    return facts


def _domain(facts: Facts) -> Step:
    title = _("Add your domain")
    if facts["usable_domain"]:
        return Step(title, "world", State.DONE, _("Your domain is verified."))
    if facts["domain"]:
        text = _("Waiting for its DNS records. Once they are published, it is verified by itself.")
        return Step(title, "world", State.WAITING, text, _("Show the DNS records"), reverse("domains:index"))
    text = _("Mail is sent from a domain of yours. A few DNS records prove that it is yours.")
    return Step(title, "world", State.NEXT, text, _("Add a domain"), reverse("domains:create"))


def _sender(facts: Facts) -> Step:
    title = _("Make a sender address")
    if facts["sender"]:
        return Step(title, "at", State.DONE, _("You have a sender address."))
    if not facts["usable_domain"]:
        return Step(title, "at", State.OPEN, _("The address your mail comes from. It needs a verified domain."))
    text = _("The address your mail comes from, on your domain.")
    return Step(title, "at", State.NEXT, text, _("New sender address"), reverse("senders:create"))


def _list(facts: Facts) -> Step:
    title = _("Upload your recipients")
    if facts["recipients"]:
        return Step(title, "users-group", State.DONE, _("You have a list with recipients."))
    if facts["list"]:
        text = _("Your list is still empty: upload a txt or csv file.")
        return Step(title, "users-group", State.NEXT, text, _("Upload recipients"), reverse("recipients:index"))
    text = _("A list holds the addresses of one audience, and what is personal in their mail.")
    return Step(title, "users-group", State.NEXT, text, _("New list"), reverse("recipients:list-create"))


def _template(facts: Facts) -> Step:
    title, all_templates = _("Write a template"), reverse("templates_app:index")
    if facts["approved"]:
        return Step(title, "template", State.DONE, _("You have an approved template."))
    if facts["pending"]:
        text = _("Your template is being reviewed. You get a mail when that is decided.")
        return Step(title, "template", State.WAITING, text, _("Show the template"), all_templates)
    if facts["rejected"]:
        text = _("Your template was rejected: read why, change it, and submit it again.")
        return Step(title, "template", State.NEXT, text, _("Show the template"), all_templates)
    if facts["template"]:
        text = _("Your template is a draft: submit it for review.")
        return Step(title, "template", State.NEXT, text, _("Show the template"), all_templates)
    text = _("Subject and body of your mail. A reviewer approves it before it is sent.")
    return Step(title, "template", State.NEXT, text, _("New template"), reverse("templates_app:create"))


def _batch(facts: Facts) -> Step:
    title = _("Send")
    if all(facts[name] for name in ("usable_domain", "sender", "recipients", "approved")):
        text = _("Everything is ready: send your template to your list.")
        return Step(title, "send", State.NEXT, text, _("Send now"), reverse("sending:batch-create"))
    return Step(title, "send", State.OPEN, _("Your template goes to everybody on your list."))


STEPS: tuple[tuple[Permission, Callable[[Facts], Step]], ...] = (
    (Permission.SETUP, _domain),
    (Permission.WORK, _sender),
    (Permission.WORK, _list),
    (Permission.WORK, _template),
    (Permission.WORK, _batch),
)

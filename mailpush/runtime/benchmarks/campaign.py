"""What a run sends, and who sends it: made through the services that customers use, up to the rows of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import localtime

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Account
from accounts.services import accounts
from domains.models import Domain
from domains.services import domains
from mailpush.sandbox.publishing import publish_domain
from mailpush.sandbox.world import World
from recipients.models import RecipientList
from senders.models import Sender, Stream
from senders.services import senders
from sending.models import AddressType, Batch
from sending.services import batches
from templates_app.models import Template
from templates_app.services import reviews, templates

UNBOUNDED = 2_000_000_000  # messages of quota
# Destinations: the sandbox's name server has a mail host for each (names of RFC 2606).
PLACES = ("north.example", "south.example", "east.example", "west.example", "harbour.example")

SUBJECT = "{UserName}, what is new in November"
TEXT = "Hello {UserName} ({NickName}),\r\n\r\n" + "Here is what happened at our place this month. " * 20
ROW = (
    '<tr><td style="padding:8px">An article about autumn</td><td><a href="https://shop.example/{n}">Read</a></td></tr>'
)
HTML = (
    '<html><body style="font-family:sans-serif"><h1>Hello {UserName}!</h1><p>We reach you as {NickName}, {Mobile}.</p>'
    f"<table>{''.join(ROW.replace('{n}', str(n)) for n in range(22))}</table></body></html>"
)


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with a verified domain (RSA-2048), a sender of each stream and an approved template."""

    actor: Actor
    batch_sender: Sender
    trigger_sender: Sender
    template: Template

    @property
    def account(self) -> Account:
        return self.actor.account


def customer() -> Customer:
    """Make the customer; the sandbox's name server must be up, since the domain is verified through it."""
    now = timezone.now()
    owner = accounts.create_account(email="owner@example.com", password="a long password for nobody", now=now)  # noqa: S106
    by = Actor.member(owner)
    Account.objects.filter(pk=by.account.pk).update(daily_quota=UNBOUNDED, monthly_quota=UNBOUNDED)
    by.account.refresh_from_db()
    domain, _ = domains.create("news.example.com", by=by, now=now)
    publish_domain(domain, World(settings.PLACES.sandbox))
    domain = domains.verify(domain, by=by, now=timezone.now())
    if domain.status != Domain.Status.VERIFIED:
        raise RuntimeError(f"The domain of the run was not verified: {domain.status}.")
    return Customer(
        by,
        senders.create("news", domain_id=domain.pk, stream=Stream.BATCH, by=by, now=now),
        senders.create("no-reply", domain_id=domain.pk, stream=Stream.TRIGGER, by=by, now=now),
        _template(by),
    )


def _template(by: Actor) -> Template:
    draft = templates.Draft(name="November", subject=SUBJECT, sender_name="Example News", html=HTML, text=TEXT)
    template = templates.create(draft, by=by, now=timezone.now())
    templates.submit(template, by=by, now=timezone.now())
    reviewer = accounts.create_account(
        email="reviewer@example.com",
        password="another password for nobody",  # noqa: S106
        now=timezone.now(),
        staff=True,
    ).user
    reviews.approve(template, content_hash=template.content_hash, reviewer=reviewer, now=timezone.now())
    template.refresh_from_db()
    return template


def make_list(
    account: Account,
    count: int,
    *,
    name: str,
    local_parts: Sequence[str] = ("reader",),
    places: Sequence[str] = PLACES,
) -> RecipientList:
    """Make a list of recipients `<local part>-<list>-<number>@<place>`, taking local parts and places in turn."""
    recipients = RecipientList.objects.create(account=account, name=name, alias=f"{name}@news.example.com", count=count)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO recipients_recipient (list_id, address, variables)
            SELECT %(list)s,
                   (%(parts)s::text[])[1 + n %% cardinality(%(parts)s::text[])] || '-' || %(list)s || '-' || n || '@'
                       || (%(places)s::text[])[1 + n %% cardinality(%(places)s::text[])],
                   jsonb_build_object('UserName', 'Ada ' || n, 'NickName', '阿达' || n, 'Mobile', '+1 555 ' || n)
            FROM generate_series(1, %(count)s) n
            """,
            {"list": recipients.pk, "parts": list(local_parts), "places": list(places), "count": count},
        )
        cursor.execute("ANALYZE recipients_recipient")
    return recipients


def press_send(customer: Customer, recipients: RecipientList, *, is_tracked: bool = False) -> Batch:
    """Order a 5 kB mail to the list, to go out at once; tracked, its 22 links make it 9 kB."""
    order = batches.Order(
        recipients, customer.template, customer.batch_sender, AddressType.RANDOM, is_tracked=is_tracked
    )
    return batches.order(order, by=customer.actor, now=timezone.now())


def finished_mail(sender: str) -> bytes:
    """Return a mail of the same kind and size, as a program submits it: CRLF line ends, not signed."""
    mail = EmailMessage()
    mail["From"] = f"Example News <{sender}>"
    mail["To"] = "Ada <reader@north.example>"
    mail["Subject"] = "Ada, what is new in November"
    mail["Date"] = localtime()
    mail["Message-ID"] = f"<november.{sender}>"
    mail.set_content(TEXT)
    mail.add_alternative(HTML, subtype="html")
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))

"""What a run sends, and who sends it: made through the services that customers use, up to the rows of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from sending import expansion
from sending.models import AddressType, Batch, Content

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
    """An account with a verified domain (RSA-2048) and a sender of each stream."""

    actor: Actor
    batch_sender: Sender
    trigger_sender: Sender

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
    )


def make_list(account: Account, count: int, *, name: str, local_parts: Sequence[str] = ("reader",)) -> RecipientList:
    """Make a list of `count` recipients `<local part>-<list>-<number>@<place>`, taking the local parts in turn."""
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
            {"list": recipients.pk, "parts": list(local_parts), "places": list(PLACES), "count": count},
        )
        cursor.execute("ANALYZE recipients_recipient")
    return recipients


def make_batch(sender: Sender, recipients: RecipientList) -> Batch:
    """Order a 5 kB mail to the list; it waits to be prepared."""
    now = timezone.now()
    content = Content.objects.create(
        account=sender.account,
        sender=sender,
        stream=sender.stream,
        address_type=AddressType.RANDOM,
        kind=Content.Kind.COMPOSED,
        sender_name="Example News",
        subject=SUBJECT,
        html=HTML,
        text=TEXT,
    )
    batch = Batch.objects.create(
        account=sender.account,
        content=content,
        sender=sender,
        list=recipients,
        list_name=recipients.name,
        template_name="November",
        address_type=content.address_type,
        created_by="bench",
        scheduled_at=now,
    )
    expansion.start(batch, now=now)
    return batch

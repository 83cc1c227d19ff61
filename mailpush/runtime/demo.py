"""The demo: an account that shows everything on the sandbox, made through the same services as a customer's."""

import csv
import io
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from json import dumps, loads

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Account, User
from accounts.services import accounts
from domains.models import Domain
from domains.services import domains
from mailpush.sandbox.publishing import publish_domain
from mailpush.sandbox.world import World
from recipients.models import Import, RecipientList
from recipients.services import imports, lists
from senders.models import Sender, Stream, Tag
from senders.services import senders, tags
from sending.models import AddressType, Batch
from sending.services import batches
from templates_app.models import Template
from templates_app.services import reviews, templates

CUSTOMER = "demo@example.com"
REVIEWER = "reviewer@example.com"
DOMAIN = "news.example.com"
RECIPIENTS = 1000
IMPORT_TAKES_AT_MOST = timedelta(seconds=60)

# The domains of the list: reserved names (RFC 2606), so that nobody is ever written to in earnest.
PLACES = ("north.example", "south.example", "east.example", "west.example", "harbour.example")
# One in so many meets this fate in the sandbox (`mailpush.sandbox.rules`).
FATES = ((97, "bounce"), (89, "defer"), (83, "spam"), (71, "late"), (331, "full"), (241, "complain"), (163, "away"))
NAMES = ("Ada", "Ben", "Chen", "Dana", "Elif", "Farid", "Gao", "Hana", "Ivo", "Jun", "张伟", "王芳", "李娜", "刘洋")

SUBJECT = "{UserName}, here is what is new in November"
HTML = """<html><head><style>
body { font-family: sans-serif; color: #1f2937; }
.card { max-width: 560px; margin: 0 auto; padding: 24px; }
h1 { color: #2563eb; font-size: 22px; }
.button { background: #2563eb; color: #ffffff; padding: 10px 18px; border-radius: 6px; text-decoration: none; }
</style></head><body><div class="card">
<h1>Hello {UserName}!</h1>
<p>Nice to see you, {Gender} {UserName}. This mail was rendered for {EAddr}, signed with your domain's DKIM key
and handed to the sandbox over SMTP, one of a thousand.</p>
<p><a class="button" href="https://www.example.com/november">Read the news</a></p>
<p>Your birthday in our books: {Birthday}.</p>
</div></body></html>
"""


@dataclass(frozen=True, slots=True)
class DemoLogins:
    """Who may log in; kept in the data folder, so that a later start can show them again."""

    customer: str
    customer_password: str
    reviewer: str
    reviewer_password: str


def create_demo() -> DemoLogins | None:
    """Create the demo where there is no account yet; return its logins, None where there is none.

    Called when everything runs: the list is imported and the batch delivered by the workers.
    """
    kept = settings.PLACES.demo_logins
    if kept.exists():
        return DemoLogins(**loads(kept.read_text()))
    if settings.MAILPUSH_DELIVERY != "sandbox" or User.objects.exists() or Account.objects.exists():
        return None
    logins = DemoLogins(CUSTOMER, _password(), REVIEWER, _password())
    now = timezone.now()
    owner = accounts.create_account(email=CUSTOMER, password=logins.customer_password, now=now)
    reviewer = accounts.create_account(email=REVIEWER, password=logins.reviewer_password, now=now, staff=True).user
    kept.touch(mode=0o600)
    kept.write_text(dumps(asdict(logins)))
    _send_something(Actor.member(owner), reviewer)
    return logins


def _send_something(by: Actor, reviewer: User) -> Batch:
    """Walk the manual from the domain to the batch."""
    domain = _domain(by)
    sender, tag = _senders(domain, by)
    recipients = _list(by)
    template = _template(by, reviewer)
    order = batches.Order(recipients, template, sender, AddressType.RANDOM, tag)
    return batches.order(order, by=by, now=timezone.now())


def _domain(by: Actor) -> Domain:
    domain, _ = domains.create(DOMAIN, by=by, now=timezone.now())
    publish_domain(domain, World(settings.PLACES.sandbox))
    return domains.verify(domain, by=by, now=timezone.now())


def _senders(domain: Domain, by: Actor) -> tuple[Sender, Tag]:
    now = timezone.now()
    batch = senders.create("news", domain_id=domain.pk, stream=Stream.BATCH, by=by, now=now)
    senders.create("no-reply", domain_id=domain.pk, stream=Stream.TRIGGER, by=by, now=now)
    return batch, tags.create("november", by=by, now=now)


def _list(by: Actor) -> RecipientList:
    """Upload a CSV of a thousand recipients and wait until a worker has imported it."""
    now = timezone.now()
    readers = lists.create(
        name="newsletter", alias="newsletter@news.example.com", description="A thousand readers", by=by, now=now
    )
    file = SimpleUploadedFile("newsletter.csv", _csv(now).encode(), content_type="text/csv")
    upload = imports.start(readers, file=file, by=by, now=now)
    deadline = now + IMPORT_TAKES_AT_MOST
    while upload.status not in {Import.Status.DONE, Import.Status.FAILED} and timezone.now() < deadline:
        time.sleep(0.1)
        upload.refresh_from_db()
    readers.refresh_from_db()
    return readers


def _csv(now: datetime) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["{EAddr}", "{UserName}", "{NickName}", "{Gender}", "{Birthday}", "{Mobile}"])
    for number in range(1, RECIPIENTS + 1):
        name = NAMES[number % len(NAMES)]
        local_part = next((fate for each, fate in FATES if number % each == 0), "reader")
        birthday = (now - timedelta(days=9000 + 11 * number)).date().isoformat()
        place = PLACES[number % len(PLACES)]
        rows.writerow([f"{local_part}-{number:04}@{place}", name, name, "", birthday, f"+1 555 0100 {number:04}"])
    return text.getvalue()


def _template(by: Actor, reviewer: User) -> Template:
    draft = templates.Draft(name="November-news", subject=SUBJECT, sender_name="Example News", html=HTML)
    template = templates.create(draft, by=by, now=timezone.now())
    templates.submit(template, by=by, now=timezone.now())
    reviews.approve(template, content_hash=template.content_hash, reviewer=reviewer, now=timezone.now())
    template.refresh_from_db()
    return template


def _password() -> str:
    return secrets.token_urlsafe(9)

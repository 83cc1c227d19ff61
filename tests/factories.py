"""One factory per model, no surprises: sensible values, nothing that a service would do."""

from datetime import UTC, datetime

import factory
from allauth.account.models import EmailAddress
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import AccessKey, Account, Invitation, Membership, Role, User
from domains.models import Domain
from mailpush.lib import encryption
from recipients.models import Recipient, RecipientList, Suppression
from senders.models import Sender, Stream, Tag
from sending.models import (
    AddressType,
    Batch,
    Content,
    Event,
    EventKind,
    Message,
    Status,
    Webhook,
    WebhookCall,
)
from sending.webhooks.signing import new_secret
from stats.models import DailyFigure
from templates_app.models import ApprovedVersion, Template

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory):
    """A user who logs in with PASSWORD and whose address is proved, save with `verified=False`."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    name = factory.Sequence(lambda n: f"User {n}")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def verified(user: User, create: object, extracted: object, **_kwargs: object) -> None:  # noqa: N805 - factory_boy passes the instance first
        if create:
            EmailAddress.objects.create(user=user, email=user.email, verified=extracted is not False, primary=True)


class AccountFactory(DjangoModelFactory):
    class Meta:
        model = Account

    name = factory.Sequence(lambda n: f"Account {n}")


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.OWNER


class InvitationFactory(DjangoModelFactory):
    class Meta:
        model = Invitation

    account = factory.SubFactory(AccountFactory)
    email = factory.Sequence(lambda n: f"invited{n}@example.com")
    role = Role.DEVELOPER
    expires_at = datetime(2100, 1, 1, tzinfo=UTC)


class AccessKeyFactory(DjangoModelFactory):
    class Meta:
        model = AccessKey

    class Params:
        secret = "secret-of-the-key"

    account = factory.SubFactory(AccountFactory)
    encrypted_secret = factory.LazyAttribute(lambda key: encryption.encrypt(key.secret))
    label = "Shop"


class DomainFactory(DjangoModelFactory):
    """A verified domain."""

    class Meta:
        model = Domain

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"mail{n}.example.com")
    status = Domain.Status.VERIFIED
    verified_at = factory.LazyFunction(timezone.now)


class SenderFactory(DjangoModelFactory):
    """A sender on a verified domain of its own account."""

    class Meta:
        model = Sender

    account = factory.SubFactory(AccountFactory)
    domain = factory.SubFactory(DomainFactory, account=factory.SelfAttribute("..account"))
    address = factory.LazyAttributeSequence(lambda sender, n: f"news{n}@{sender.domain.name}")
    stream = Stream.BATCH


class TagFactory(DjangoModelFactory):
    class Meta:
        model = Tag

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"tag-{n}")


class RecipientListFactory(DjangoModelFactory):
    class Meta:
        model = RecipientList

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"List {n}")
    alias = factory.Sequence(lambda n: f"list{n}@lists.example.com")


class RecipientFactory(DjangoModelFactory):
    """One row; it does not keep the list's count."""

    class Meta:
        model = Recipient

    list = factory.SubFactory(RecipientListFactory)
    address = factory.Sequence(lambda n: f"reader{n}@readers.example")


class SuppressionFactory(DjangoModelFactory):
    class Meta:
        model = Suppression

    account = factory.SubFactory(AccountFactory)
    address = factory.Sequence(lambda n: f"gone{n}@readers.example")
    reason = Suppression.Reason.MANUAL


class TemplateFactory(DjangoModelFactory):
    """A draft; `TemplateFactory(approve=True)` has been through review as it stands."""

    class Meta:
        model = Template
        skip_postgeneration_save = True

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"Template {n}")
    subject = "Hello {NickName}"
    sender_name = "Example"
    html = "<p>Hello {UserName}</p>"
    text = "Hello {UserName}"
    prepared_html = factory.SelfAttribute("html")
    plain_text = factory.SelfAttribute("text")
    content_hash = factory.Sequence(lambda n: f"{n:064x}")

    @factory.post_generation
    def approve(template: Template, create: object, extracted: object, **_kwargs: object) -> None:  # noqa: N805 - factory_boy passes the instance first
        if create and extracted:
            template.approved = ApprovedVersionFactory(template=template)
            template.status = Template.Status.APPROVED
            template.save(update_fields=["approved", "status"])


class ApprovedVersionFactory(DjangoModelFactory):
    class Meta:
        model = ApprovedVersion

    template = factory.SubFactory(TemplateFactory)
    subject = factory.SelfAttribute("template.subject")
    sender_name = factory.SelfAttribute("template.sender_name")
    html = factory.SelfAttribute("template.html")
    text = factory.SelfAttribute("template.text")
    content_hash = factory.SelfAttribute("template.content_hash")
    approved_at = factory.LazyFunction(timezone.now)


class EventFactory(DjangoModelFactory):
    """A line of the ledger; `sender` (and `tag`) say whose it is. One new message unless told otherwise."""

    class Meta:
        model = Event

    class Params:
        sender = factory.SubFactory(SenderFactory)
        tag = None

    account_id = factory.LazyAttribute(lambda event: event.sender.account_id)
    sender_id = factory.LazyAttribute(lambda event: event.sender.pk)
    tag_id = factory.LazyAttribute(lambda event: event.tag and event.tag.pk)
    day = factory.LazyFunction(lambda: timezone.now().date())
    was = ""
    status = Status.QUEUED
    at = factory.LazyFunction(timezone.now)


class DailyFigureFactory(DjangoModelFactory):
    class Meta:
        model = DailyFigure

    account = factory.SelfAttribute("sender.account")
    sender = factory.SubFactory(SenderFactory)
    day = factory.LazyFunction(lambda: timezone.now().date())


class ContentFactory(DjangoModelFactory):
    """What a batch sends; `sender` says whose it is."""

    class Meta:
        model = Content

    sender = factory.SubFactory(SenderFactory)
    account = factory.SelfAttribute("sender.account")
    stream = factory.SelfAttribute("sender.stream")
    address_type = AddressType.RANDOM
    kind = Content.Kind.COMPOSED
    sender_name = "Example"
    subject = "Hello {UserName}"
    html = "<p>Dear {UserName}</p>"
    text = "Dear {UserName}"


class BatchFactory(DjangoModelFactory):
    """Being sent, with the counts it is given."""

    class Meta:
        model = Batch

    content = factory.SubFactory(ContentFactory)
    account = factory.SelfAttribute("content.account")
    sender = factory.SelfAttribute("content.sender")
    list_name = factory.Sequence(lambda n: f"List {n}")
    template_name = factory.Sequence(lambda n: f"Template {n}")
    address_type = AddressType.RANDOM
    status = Batch.Status.SENDING
    created_by = "owner@example.com"
    scheduled_at = factory.LazyFunction(timezone.now)
    day = factory.LazyFunction(lambda: timezone.now().date())
    total = 0
    requested = factory.SelfAttribute("total")


class MessageFactory(DjangoModelFactory):
    """Waiting; in no chunk. With `batch` it is one of its messages, without the batch counting it."""

    class Meta:
        model = Message

    content = factory.Maybe(
        "batch",
        yes_declaration=factory.SelfAttribute("batch.content"),
        no_declaration=factory.SubFactory(ContentFactory),
    )
    account = factory.SelfAttribute("content.account")
    batch = None
    recipient = factory.Sequence(lambda n: f"reader{n}@readers.example")
    variables = factory.LazyFunction(lambda: {"UserName": "Anna"})
    day = factory.LazyFunction(lambda: timezone.now().date())


class WebhookFactory(DjangoModelFactory):
    """Told of everything; `WebhookFactory().secret` signs its calls."""

    class Meta:
        model = Webhook

    account = factory.SubFactory(AccountFactory)
    url = "http://127.0.0.1:9/hook"
    kinds = factory.LazyFunction(lambda: list(EventKind.values))
    encrypted_secret = factory.LazyFunction(lambda: encryption.encrypt(new_secret()))
    created_at = datetime(2026, 1, 1, tzinfo=UTC)


class WebhookCallFactory(DjangoModelFactory):
    class Meta:
        model = WebhookCall

    webhook = factory.SubFactory(WebhookFactory)
    events = factory.LazyFunction(
        lambda: [{"id": "ledger-1", "type": "message.delivered", "at": "2026-11-26T09:00:00+00:00", "data": {}}]
    )
    next_attempt_at = factory.LazyFunction(timezone.now)

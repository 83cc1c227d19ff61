"""What comes back to the platform in tests: samples that name a message of ours, and rows as the door stores them."""

from django.utils import timezone

from sending import return_path
from sending.models import Message, Returned
from tests.mailpush.mail.test_returned import sample


def token_of(message: Message) -> str:
    return return_path.trace(message.pk, now=timezone.now())


def about(message: Message, name: str, *, recipient: str | None = None) -> bytes:
    """Return a sample that quotes the message's token and speaks of its recipient."""
    mail = sample(name, token=token_of(message))
    return mail.replace(b"anna@readers.example", (recipient or message.recipient).encode())


def came(
    message: Message | None,
    name: str,
    *,
    mailbox: str = Returned.Mailbox.RETURN_PATH,
    mail_from: str = "",
    rcpt_to: str = "",
    **fields,
) -> Returned:
    """Store a sample as the door would: only a signed address names its message."""
    is_named = mailbox in {Returned.Mailbox.RETURN_PATH, Returned.Mailbox.UNSUBSCRIBE}
    return Returned.objects.create(
        mailbox=mailbox,
        mail_from=mail_from,
        rcpt_to=rcpt_to or "news@news.shop.example",
        message_id=message.pk if message and is_named else None,
        mime=about(message, name) if message else sample(name),
        **fields,
    )

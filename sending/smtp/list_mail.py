"""Mail to a recipient list's alias: the account's own, so that the message becomes a batch."""

import hashlib
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import Role
from mailpush.lib.refusals import Refusal
from mailpush.mail import circular
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.circular import BadCircular
from mailpush.mail.door import Session
from mailpush.mail.replies import Reply
from recipients.models import RecipientList
from sending.services import circulars, submissions
from sending.services.submissions import Incoming


class ListGone(Refusal):
    """The list was deleted since its alias was named."""

    code = "list_gone"


def order(session: Session, content: bytes, wanted: Incoming) -> Reply:
    """Make a batch of a message.

    :raises Refusal: it may not be sent.
    """
    assert session.envelope
    try:
        written = circular.read(content)
        if written.reply_to:
            parse(written.reply_to)
    except BadCircular as problem:
        return Reply(554, f"5.6.1 {problem}")
    except BadAddress as problem:
        return Reply(554, f"5.6.0 The Reply-To field: {problem}")
    sender, tag = submissions.whose(wanted)
    audience = RecipientList.objects.for_account(sender.account).filter(pk=session.envelope.note.list_id).first()
    if audience is None:
        raise ListGone(_("The recipient list has just been deleted."))
    batch = circulars.send(
        written,
        audience=audience,
        sender=sender,
        tag=tag,
        is_tracked=wanted.is_tracked,
        key=_key(wanted, audience),
        by=Actor(sender.account, f"SMTP {sender.address}", Role.DEVELOPER, ip=session.peer),
        now=timezone.now(),
    )
    return Reply(250, f"2.0.0 Accepted as batch {batch.pk}")


def _key(wanted: Incoming, audience: RecipientList) -> UUID | None:
    if not wanted.key:
        return None
    digest = hashlib.sha256(f"{wanted.login.pk}\0{wanted.key}\0{audience.pk}".encode()).digest()
    return UUID(bytes=digest[:16])

"""Writing templates and submitting them for review."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.variables import VARIABLES
from templates_app import hygiene, rendering
from templates_app.models import NAME_LENGTH, SENDER_NAME_LENGTH, SUBJECT_LENGTH, Template

HTML_BYTES = 1_000_000  # "up to 1 MB" (DirectMail's limits)
NAME = re.compile(rf"(?:[^\W_]|-){{1,{NAME_LENGTH}}}")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


class BadName(Refusal):
    code = "bad_name"


class NameTaken(Refusal):
    code = "name_taken"


class BadSubject(Refusal):
    code = "bad_subject"


class BadSenderName(Refusal):
    code = "bad_sender_name"


class BadBody(Refusal):
    code = "bad_body"


class BadVariable(Refusal):
    """An unknown variable, or a brace that belongs to none."""

    code = "bad_variable"


class WrongState(Refusal):
    code = "wrong_state"


@dataclass(frozen=True, slots=True)
class Draft:
    """What the author writes. An empty `text` is derived from the HTML when the template is approved."""

    name: str
    subject: str
    sender_name: str
    html: str = ""
    text: str = ""

    @property
    def content_hash(self) -> str:
        """SHA-256 over subject, sender name and bodies, each behind its length: what an approval is bound to."""
        digest = hashlib.sha256()
        for part in (self.subject, self.sender_name, self.html, self.text):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()


@transaction.atomic
def create(draft: Draft, *, by: Actor, now: datetime) -> Template:
    """Keep a new template as a draft.

    :raises BadName, NameTaken, BadSubject, BadSenderName, BadBody, BadVariable: see `check`.
    """
    by.must(Permission.WORK)
    check(draft)
    template = Template(account=by.account, created_by=by.user, created_at=now)
    _write(template, draft, now=now)
    audit.record("template.created", by=by, target=template, content_hash=template.content_hash)
    return template


@transaction.atomic
def edit(template: Template, draft: Draft, *, by: Actor, now: datetime) -> Template:
    """Change a template: other content makes it a draft again, the approved version stays what is sent.

    :raises BadName, NameTaken, BadSubject, BadSenderName, BadBody, BadVariable: see `check`.
    """
    by.must(Permission.WORK)
    check(draft)
    template = Template.objects.select_for_update().get(pk=template.pk, account=by.account)
    if (draft.name, draft.content_hash) == (template.name, template.content_hash):
        return template
    if draft.content_hash != template.content_hash:
        template.status = Template.Status.DRAFT
        template.submitted_at = None
    _write(template, draft, now=now)
    audit.record("template.changed", by=by, target=template, content_hash=template.content_hash)
    return template


@transaction.atomic
def submit(template: Template, *, by: Actor, now: datetime) -> None:
    """Ask for review of the content as it stands.

    :raises WrongState: it is waiting for review or approved already.
    """
    by.must(Permission.WORK)
    waiting = Template.objects.filter(
        pk=template.pk, account=by.account, status__in=[Template.Status.DRAFT, Template.Status.REJECTED]
    )
    if not waiting.update(status=Template.Status.PENDING, submitted_at=now):
        raise WrongState(_("“%(name)s” is waiting for review or approved already.") % {"name": template})
    template.refresh_from_db()
    audit.record("template.submitted", by=by, target=template, content_hash=template.content_hash)


@transaction.atomic
def withdraw(template: Template, *, by: Actor) -> None:
    """Take a template back from review, to a draft.

    :raises WrongState: it is not waiting.
    """
    by.must(Permission.WORK)
    waiting = Template.objects.filter(pk=template.pk, account=by.account, status=Template.Status.PENDING)
    if not waiting.update(status=Template.Status.DRAFT, submitted_at=None):
        raise WrongState(_("“%(name)s” is not waiting for review any more.") % {"name": template})
    template.refresh_from_db()
    audit.record("template.withdrawn", by=by, target=template)


@transaction.atomic
def delete(template: Template, *, by: Actor) -> None:
    """Delete a template; batches keep their own copy of what they send."""
    by.must(Permission.WORK)
    audit.record("template.deleted", by=by, target=template, content_hash=template.content_hash)
    Template.objects.filter(pk=template.pk, account=by.account).delete()


def check(draft: Draft) -> None:
    """Refuse what could not be sent as written.

    :raises BadName: not 1–64 letters of any script, digits and "-".
    :raises BadSubject: not 1–100 printable characters.
    :raises BadSenderName: not 1–64 printable characters.
    :raises BadBody: none, too large, or with parts that no mail reader shows.
    :raises BadVariable: an unknown variable or a stray brace, saying where.
    """
    if not NAME.fullmatch(draft.name):
        raise BadName(_("A name has 1 to 64 letters, digits or “-”, without spaces."), field="name")
    if not _is_line(draft.subject, SUBJECT_LENGTH):
        raise BadSubject(_("A subject has 1 to 100 characters, on one line."), field="subject")
    if not _is_line(draft.sender_name, SENDER_NAME_LENGTH):
        raise BadSenderName(_("A sender name has 1 to 64 characters, on one line."), field="sender_name")
    _check_bodies(draft)
    for field, source in (("subject", draft.subject), ("html", draft.html), ("text", draft.text)):
        try:
            rendering.compile(source, escape=field == "html")
        except rendering.BadTemplate as problem:
            raise BadVariable(" ".join(map(_explain, problem.mistakes[:3])), field=field) from problem


def _check_bodies(draft: Draft) -> None:
    if not draft.html.strip() and not draft.text.strip():
        raise BadBody(_("Write a body: HTML, text or both."), field="html")
    for field, body in (("html", draft.html), ("text", draft.text)):
        if len(body.encode()) > HTML_BYTES:
            raise BadBody(_("The body is larger than 1 MB. Put large images on a web server."), field=field)
        if "\0" in body:
            raise BadBody(_("The body contains characters that cannot be stored (NUL)."), field=field)
    if found := hygiene.problems(draft.html):
        raise BadBody(
            _("Mail readers remove these, so take them out: %(found)s") % {"found": ", ".join(found[:8])}, field="html"
        )


def _is_line(text: str, longest: int) -> bool:
    return bool(text.strip()) and len(text) <= longest and not UNPRINTABLE.search(text)


def _explain(mistake: rendering.Mistake) -> str:
    place = {"line": mistake.line, "column": mistake.column, "around": mistake.around, "text": mistake.text}
    if mistake.kind == "unknown_variable":
        known = ", ".join(f"{{{name}}}" for name in VARIABLES)
        return _("Line %(line)s, column %(column)s: {%(text)s} is not a variable; there are %(known)s.") % {
            **place,
            "known": known,
        }
    return (
        _("Line %(line)s, column %(column)s: a single “%(text)s” in “%(around)s”. Write it twice to show a brace.")
        % place
    )


def _write(template: Template, draft: Draft, *, now: datetime) -> None:
    template.name, template.subject, template.sender_name = draft.name, draft.subject, draft.sender_name
    template.html, template.text = draft.html, draft.text
    template.content_hash = draft.content_hash
    template.updated_at = now
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError as error:
        raise NameTaken(_("You have a template of that name already."), field="name") from error

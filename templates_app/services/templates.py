"""Writing templates and submitting them for review."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.variables import VARIABLES
from templates_app import hygiene, rendering
from templates_app.models import NAME_LENGTH, SENDER_NAME_LENGTH, SUBJECT_LENGTH, Template

BODY_BYTES = 1_000_000  # "up to 1 MB" (DirectMail's limits)
PREPARED_BYTES = 3_000_000  # with every style repeated on its elements
MISTAKES_SHOWN = 3

# In names of Unicode's categories: letters of every script, the marks some are written with, decimal digits.
NAME_CATEGORIES = ("L", "M", "Nd")
# Control characters, separators of lines, half characters; and what turns the direction of the text around it,
# which lets a subject or sender read as another.
UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
CHARACTERS = re.compile(r"[^\0\ud800-\udfff]*")
NOT_IN_SENDER_NAME = frozenset('<>"{}')

BODY_NAMES = {"html": gettext_lazy("The HTML body"), "text": gettext_lazy("The text part")}


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


class ChangedMeanwhile(Refusal):
    """Somebody else saved it since the author opened it."""

    code = "changed_meanwhile"


@dataclass(frozen=True, slots=True)
class Draft:
    """What the author writes. An empty `text` is derived from the HTML."""

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is made of a draft's bodies, and the variables of all of it."""

    html: str
    text: str
    variables: list[str]


def create(draft: Draft, *, by: Actor, now: datetime) -> Template:
    """Keep a new template as a draft.

    :raises BadName, NameTaken, BadSubject, BadSenderName, BadBody, BadVariable: see `check`.
    """
    by.must(Permission.WORK)
    prepared = check(draft)  # before the transaction: preparing takes its time
    template = Template(account=by.account, created_by=by.user, created_at=now)
    with transaction.atomic():
        _write(template, draft, prepared, by=by, now=now)
        audit.record("template.created", by=by, target=template, **_trace(template))
    return template


def edit(template: Template, draft: Draft, *, by: Actor, now: datetime, seen: str = "") -> Template:
    """Change a template: other content makes it a draft again, the approved version stays what is sent.

    :param seen: the hash of the content that the author began with; empty to overwrite whatever is there.
    :raises BadName, NameTaken, BadSubject, BadSenderName, BadBody, BadVariable: see `check`.
    :raises ChangedMeanwhile: it is not the content the author began with.
    """
    by.must(Permission.WORK)
    prepared = check(draft)
    with transaction.atomic():
        template = Template.objects.select_for_update(of=("self",)).get(pk=template.pk, account=by.account)
        if (draft.name, draft.content_hash) == (template.name, template.content_hash):
            return template
        if seen not in {"", template.content_hash, draft.content_hash}:
            raise ChangedMeanwhile(
                _("Somebody has changed this template since you opened it. Open it in another tab and compare.")
            )
        is_other = draft.content_hash != template.content_hash
        if is_other:
            template.status, template.submitted_at = _status_of(template, draft), None
        _write(template, draft, prepared, by=by, now=now)
        action = "template.changed" if is_other else "template.renamed"
        audit.record(action, by=by, target=template, **_trace(template))
    return template


@transaction.atomic
def submit(template: Template, *, by: Actor, now: datetime) -> None:
    """Ask for review of the content as it stands.

    :raises WrongState: it is waiting for review or approved already.
    """
    by.must(Permission.WORK)
    waiting = Template.objects.for_account(by.account).filter(
        pk=template.pk, status__in=[Template.Status.DRAFT, Template.Status.REJECTED]
    )
    if not waiting.update(status=Template.Status.PENDING, submitted_at=now):
        raise WrongState(_("“%(name)s” is waiting for review or approved already.") % {"name": template})
    template.refresh_from_db()
    audit.record("template.submitted", by=by, target=template, **_trace(template))


@transaction.atomic
def withdraw(template: Template, *, by: Actor) -> None:
    """Take a template back from review, to a draft.

    :raises WrongState: it is not waiting.
    """
    by.must(Permission.WORK)
    waiting = Template.objects.for_account(by.account).filter(pk=template.pk, status=Template.Status.PENDING)
    if not waiting.update(status=Template.Status.DRAFT, submitted_at=None):
        raise WrongState(_("“%(name)s” is not waiting for review any more.") % {"name": template})
    template.refresh_from_db()
    audit.record("template.withdrawn", by=by, target=template, **_trace(template))


@transaction.atomic
def delete(template: Template, *, by: Actor) -> None:
    """Delete a template; batches keep their own copy of what they send."""
    by.must(Permission.WORK)
    name, trace = str(template), _trace(template)
    deleted, _rows = Template.objects.for_account(by.account).filter(pk=template.pk).delete()
    if deleted:  # else a second click
        audit.record("template.deleted", by=by, target=name, **trace)


def check(draft: Draft) -> Prepared:
    """Refuse what could not be sent as written; else return what would be sent.

    :raises BadName: not 1 to 64 letters of any script, digits and "-".
    :raises BadSubject: not 1 to 100 printable characters.
    :raises BadSenderName: not 1 to 64 printable characters without <, >, " and braces.
    :raises BadBody: none, too large, or with parts that no mail reader shows.
    :raises BadVariable: an unknown variable or a stray brace, saying where.
    """
    if not 0 < len(draft.name) <= NAME_LENGTH or not all(map(_may_be_in_name, draft.name)):
        raise BadName(_("A name has 1 to 64 letters, digits or “-”, without spaces."), field="name")
    if not _is_line(draft.subject, SUBJECT_LENGTH):
        raise BadSubject(_("A subject has 1 to 100 printable characters, on one line."), field="subject")
    if not _is_line(draft.sender_name, SENDER_NAME_LENGTH) or not NOT_IN_SENDER_NAME.isdisjoint(draft.sender_name):
        raise BadSenderName(
            _('A sender name has 1 to 64 printable characters, without <, >, " and braces; it has no variables.'),
            field="sender_name",
        )
    _check_bodies(draft)
    variables = {
        name
        for field, source in (("subject", draft.subject), ("html", draft.html), ("text", draft.text))
        for name in _compiled(field, source).variables
    }
    html = _prepared(draft.html) if draft.html.strip() else ""
    return Prepared(html, draft.text if draft.text.strip() else rendering.derive_text(html), sorted(variables))


def _check_bodies(draft: Draft) -> None:
    if not draft.html.strip() and not draft.text.strip():
        raise BadBody(_("Write a body: HTML, text or both."), field="html")
    for field, body in (("html", draft.html), ("text", draft.text)):
        shown = {"body": BODY_NAMES[field]}
        if not CHARACTERS.fullmatch(body):
            raise BadBody(
                _("%(body)s has characters that no mail can carry (NUL or half of one).") % shown, field=field
            )
        if len(body.encode()) > BODY_BYTES:
            raise BadBody(
                _("%(body)s is larger than 1 MB. Shorten it, and link large images instead of embedding them.") % shown,
                field=field,
            )


def _compiled(field: str, source: str) -> rendering.Compiled:
    try:
        return rendering.compile(source, escape=field == "html", allowed=VARIABLES)
    except rendering.BadTemplate as problem:
        sentences = [_explain(mistake) for mistake in problem.mistakes[:MISTAKES_SHOWN]]
        if len(problem.mistakes) > MISTAKES_SHOWN:
            sentences.append(_("There are more mistakes of the kind after these."))
        raise BadVariable(" ".join(sentences), field=field) from problem


def _prepared(html: str) -> str:
    """Return the body as it will be sent."""
    try:
        prepared = rendering.prepare_html(html)
        found = hygiene.problems(prepared)
    except (rendering.NotPreparable, hygiene.TooDeep) as problem:
        raise BadBody(
            _("Mail readers cannot follow this HTML: its elements are nested too deeply, or it has too many styles."),
            field="html",
        ) from problem
    if found:
        raise BadBody(
            _("Mail readers remove these, so take them out: %(found)s") % {"found": ", ".join(found)}, field="html"
        )
    if len(prepared.encode()) > PREPARED_BYTES:
        raise BadBody(
            _("With its styles written at every element the HTML body is larger than 3 MB. Use fewer styles."),
            field="html",
        )
    return prepared


def _may_be_in_name(character: str) -> bool:
    return character == "-" or unicodedata.category(character).startswith(NAME_CATEGORIES)


def _is_line(text: str, longest: int) -> bool:
    return (
        bool(text.strip())
        and len(text) <= longest
        and DIRECTION_CONTROLS.isdisjoint(text)
        and UNPRINTABLE_CATEGORIES.isdisjoint(map(unicodedata.category, text))
    )


def _explain(mistake: rendering.Mistake) -> str:
    place = {"line": mistake.line, "column": mistake.column, "around": mistake.around, "text": mistake.text}
    if mistake.kind == "unknown_variable":
        known = ", ".join(f"{{{name}}}" for name in VARIABLES)
        return _(
            "Line %(line)s, column %(column)s: {%(text)s} is not a variable; there are %(known)s."
            " To show it as it is, write {{%(text)s}}."
        ) % {**place, "known": known}
    return (
        _("Line %(line)s, column %(column)s: a single “%(text)s” in “%(around)s”. Write it twice to show a brace.")
        % place
    )


def _status_of(template: Template, draft: Draft) -> Template.Status:
    is_approved = template.approved is not None and template.approved.content_hash == draft.content_hash
    return Template.Status.APPROVED if is_approved else Template.Status.DRAFT


def _write(template: Template, draft: Draft, prepared: Prepared, *, by: Actor, now: datetime) -> None:
    is_other = draft.content_hash != template.content_hash
    template.name, template.subject, template.sender_name = draft.name, draft.subject, draft.sender_name
    template.html, template.text = draft.html, draft.text
    template.prepared_html, template.plain_text = prepared.html, prepared.text
    template.variables = prepared.variables
    template.content_hash = draft.content_hash
    template.updated_at = now
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError as error:
        raise NameTaken(_("You have a template of that name already."), field="name") from error
    if is_other and by.user is not None:
        template.authors.add(by.user)


def _trace(template: Template) -> dict[str, str]:
    return {"content_hash": template.content_hash}

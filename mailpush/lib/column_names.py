"""What the admin calls our tables and columns, where the models leave it to Django.

Django makes a name of the identifier ("created_at" becomes "created at"), in English alone. These are the same names,
given to the catalogues. As options of the models they would make a migration for each word, about nothing in the
database; a test tells when the admin shows a name that is missing here.
"""

from typing import Any

from django.apps import apps
from django.db.models import Field
from django.db.models.options import Options
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.utils.translation import gettext_noop as _

TABLES = (
    _("access key"),
    _("access keys"),
    _("domain"),
    _("domains"),
    _("import"),
    _("imports"),
    _("membership"),
    _("memberships"),
    _("record check"),
    _("record checks"),
    _("sender"),
    _("senders"),
    _("tag"),
    _("tags"),
)
COLUMNS = (
    _("account"),
    _("address type"),
    _("approved"),
    _("attempts"),
    _("batch"),
    _("bounced"),
    _("canceled"),
    _("checked at"),
    _("checking until"),
    _("claimed until"),
    _("config set"),
    _("content hash"),
    _("created at"),
    _("created by"),
    _("day"),
    _("deferred"),
    _("deleted at"),
    _("delivered"),
    _("detail"),
    _("details"),
    _("domain"),
    _("done"),
    _("due at"),
    _("duplicate"),
    _("encoding"),
    _("error"),
    _("evidence"),
    _("failed"),
    _("failing since"),
    _("failures"),
    _("fence"),
    _("filename"),
    _("finished at"),
    _("forwards replies"),
    _("found"),
    _("has effect"),
    _("in flight"),
    _("invalid"),
    _("is frozen"),
    _("is platform"),
    _("key"),
    _("kind"),
    _("last reply"),
    _("last used at"),
    _("leased until"),
    _("list"),
    _("list name"),
    _("mailbox"),
    _("messages"),
    _("networks"),
    _("next attempt at"),
    _("next check at"),
    _("outcome"),
    _("ownership token"),
    _("peer"),
    _("plain text"),
    _("problem"),
    _("public record"),
    _("read"),
    _("read at"),
    _("reason"),
    _("received at"),
    _("reply to asked at"),
    _("reply to verified at"),
    _("requested"),
    _("resends unknown"),
    _("rest of"),
    _("retired at"),
    _("scheduled at"),
    _("scope"),
    _("scope value"),
    _("scopes"),
    _("selector"),
    _("sender"),
    _("settled failed"),
    _("settled invalid"),
    _("settled success"),
    _("settled total"),
    _("site"),
    _("size"),
    _("source"),
    _("started at"),
    _("status"),
    _("stream"),
    _("suppressed"),
    _("tag"),
    _("template"),
    _("template name"),
    _("total"),
    _("unknown"),
    _("unsubscribe scope"),
    _("unused columns"),
    _("updated"),
    _("user"),
    _("verified at"),
    _("warned at"),
    _("watched since"),
    _("words"),
)
# What Django makes of letters that are said one by one, and of SMTP's own words.
SPELLED = {
    "dkim key": _("DKIM key"),
    "dkim keys": _("DKIM keys"),
    "key id": _("key ID"),
    "mail from": _("MAIL FROM"),
    "message id": _("message ID"),
    "prepared html": _("prepared HTML"),
    "rcpt to": _("RCPT TO"),
}
ADDED = pgettext_lazy("lines of a file", "added")  # elsewhere it is the time when


def name_columns() -> None:
    """Translate what Django has made up itself; what a model says stays."""
    for model in apps.get_models():
        options = model._meta  # noqa: SLF001 Django's API
        _name_table(options)
        for field in options.local_fields:
            _name_column(field)


def _name_table(options: Options) -> None:  # type: ignore[type-arg]
    names = {*TABLES, *SPELLED}
    if options.verbose_name in names and options.verbose_name_plural in names:
        options.verbose_name = _named(options.verbose_name)
        options.verbose_name_plural = _named(options.verbose_name_plural)


def _name_column(field: Field) -> None:  # type: ignore[type-arg]
    # Migrations are made from what the model has said, which Django keeps apart.
    if field.name == field.verbose_name == "added":
        field.verbose_name = ADDED
    elif field.verbose_name in COLUMNS or field.verbose_name in SPELLED:
        field.verbose_name = _named(field.verbose_name)


def _named(by_django: object) -> Any:
    return gettext_lazy(SPELLED.get(str(by_django), str(by_django)))

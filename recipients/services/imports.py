"""Files into lists: an upload is checked at once, kept, and imported in the background."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib import files
from mailpush.lib.refusals import Refusal
from mailpush.mail.charsets import NotAList, refuse_other_files
from recipients import tasks
from recipients.imports import reasons
from recipients.models import Import, RecipientList

HEAD = 8192  # bytes that tell a text from other files
MOST_WAITING = 20  # files of one account that wait for their import: they fill the disk


class NotAListFile(Refusal):
    code = "not_a_list_file"


class FileTooLarge(Refusal):
    code = "file_too_large"


class TooManyImports(Refusal):
    code = "too_many_imports"


def start(recipient_list: RecipientList, *, file: "UploadedFile[Any]", by: Actor, now: datetime) -> Import:
    """Keep an uploaded file and import it into the list as soon as imports before it are over.

    :raises NotAListFile: it is empty or no text file.
    :raises FileTooLarge: it has more than LIST_UPLOAD_MAX_BYTES.
    :raises TooManyImports: MOST_WAITING files of the account wait already.
    :raises StorageUnavailable: the file could not be kept.
    """
    by.must(Permission.WORK)
    own = RecipientList.objects.for_account(by.account).get(pk=recipient_list.pk)
    _must_be_a_list_file(file)
    if Import.objects.for_account(by.account).unfinished().count() >= MOST_WAITING:
        raise TooManyImports(
            _("%(count)d files are waiting for their import. Upload more when some are done.") % {"count": MOST_WAITING}
        )
    wanted = Import(
        list=own, filename=(file.name or "list")[:255], size=file.size or 0, created_by=by.name, created_at=now
    )
    # Kept before the transaction: storage may be slow, and knows no transactions.
    with files.refusing("file"):
        wanted.file.name = files.keep(wanted.new_name(".txt"), file)
    try:
        _queue(wanted, by=by)
    except BaseException:
        files.discard(wanted.file.name)
        raise
    return wanted


@transaction.atomic
def _queue(wanted: Import, *, by: Actor) -> None:
    wanted.save()
    audit.record("list.uploaded", by=by, target=wanted.list, filename=wanted.filename, size=wanted.size)
    # robust: with the broker down the file is kept; the next beat finds its row.
    transaction.on_commit(lambda: tasks.run_import.delay(import_id=wanted.pk), robust=True)


def too_large() -> FileTooLarge:
    return FileTooLarge(
        _("The file is larger than %(most)s. Split it and upload the parts one after the other.")
        % {"most": filesizeformat(settings.LIST_UPLOAD_MAX_BYTES)},
        field="file",
    )


def _must_be_a_list_file(file: "UploadedFile[Any]") -> None:
    if (file.size or 0) > settings.LIST_UPLOAD_MAX_BYTES:
        raise too_large()
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    try:
        refuse_other_files(head)
    except NotAList as finding:
        raise NotAListFile(reasons.of_file(finding), field="file") from finding

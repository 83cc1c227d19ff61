"""One import from its file to its list.

Nothing is seen of it before its end: rows and counts appear with the commit that ends it. A worker
that dies is followed by another that begins anew.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from typing import BinaryIO, cast

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.models import User
from mailpush.mail import charsets, tables
from recipients.imports import claims, reasons
from recipients.imports.rejects import Rejects
from recipients.imports.staging import Staging, staging
from recipients.models import Import, RecipientList

logger = logging.getLogger(__name__)

SHOW_EVERY = 1.0  # seconds between two signs of life
FULL_DISK_LASTS = timedelta(minutes=1)  # until an import that found no room is tried again

_stopping = threading.Event()


class Stopped(Exception):
    """The process ends; another will begin anew."""


def begin_to_stop() -> None:
    """Begin nothing new, and give back what is being read; rows on their way into a list get there."""
    _stopping.set()


def run(import_id: int) -> bool:
    """Do an import and return whether it is over; what it came to stands on its row."""
    if _stopping.is_set():
        return False
    job = claims.claim(import_id, now=timezone.now())
    if job is None:
        return False
    with translation.override(_language(job)):
        try:
            _load(job)
        except charsets.NotAList as finding:
            claims.fail(job, error=reasons.of_file(finding), now=timezone.now())
        except FileNotFoundError:
            claims.fail(job, error=_("The uploaded file is gone. Upload it again."), now=timezone.now())
        except Stopped:
            return False
        except OSError:  # of the rejected lines; the upload stays, and goes on when there is room
            logger.exception("import %d cannot write to the disk", import_id)
            with suppress(claims.LostRace):
                claims.give_back(job, now=timezone.now(), wait=FULL_DISK_LASTS)
            return False
        except claims.LostRace:
            logger.warning("import %d is another worker's now", import_id)
    return True


def _load(job: Import) -> None:
    with default_storage.open(str(job.file.name), "rb") as opened, staging() as rows, closing(Rejects()) as rejects:
        file = cast("BinaryIO", opened)
        job.encoding = charsets.detect(file)
        _read(job, file, rows, rejects)
        name = rejects.save(job)
        try:
            _write(job, rows, rejects)
        except BaseException:
            if name:
                default_storage.delete(name)
            raise


def _read(job: Import, file: BinaryIO, rows: Staging, rejects: Rejects) -> None:
    """Bring the file's rows into the staging table."""
    layout, blocks = tables.read(file, job.encoding)
    job.unused_columns = ", ".join(layout.unused)[:1000]
    while (done := _read_on(blocks, rows, rejects)) is not None:
        if _stopping.is_set():
            claims.give_back(job, now=timezone.now())
            raise Stopped
        claims.renew(job, done=done, now=timezone.now())
    claims.renew(job, done=job.size, now=timezone.now())


def _read_on(blocks: Iterator[tables.Block], rows: Staging, rejects: Rejects) -> int | None:
    """Read until the next sign of life is due; return how many bytes have been read, None at the end of the file."""
    until = time.monotonic() + SHOW_EVERY
    with rows.copying():
        for block in blocks:
            rows.add(block.records)
            rejects.add(block.rejects)
            if _stopping.is_set() or time.monotonic() >= until:
                return block.position
    return None


def _write(job: Import, rows: Staging, rejects: Rejects) -> None:
    """Bring the staged rows onto the list and end the import, in one transaction."""
    found = {
        "read": rows.rows + rejects.count,
        "invalid": rejects.count,
        "encoding": job.encoding,
        "unused_columns": job.unused_columns,
        "rejects": job.rejects.name or "",
    }
    if not rows.rows:
        claims.fail(job, error=reasons.nothing_valid(read=rejects.count), now=timezone.now(), **found)
        return
    claims.rely_on_lock(job, now=timezone.now())
    with transaction.atomic():
        claims.hold(job)
        RecipientList.objects.select_for_update(no_key=True).get(pk=job.list_id)
        merged = rows.merge(job.list_id, now=timezone.now())
        RecipientList.objects.filter(pk=job.list_id).update(count=F("count") + merged.added)
        claims.finish(
            job,
            now=timezone.now(),
            added=merged.added,
            updated=merged.addresses - merged.added,
            duplicate=rows.rows - merged.addresses,
            **found,
        )
    claims.forget_file(job)


def _language(job: Import) -> str:
    """Return the language of the one who uploaded the file: the results are kept in words."""
    chosen = User.objects.filter(email=job.created_by).values_list("language", flat=True).first()
    return chosen or translation.get_language() or "en"

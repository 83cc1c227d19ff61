"""Which worker has an import.

A list takes one import at a time, oldest first. A claim is renewed while the file is read, and given back
by a worker that is told to stop; while the rows are written to the list, the worker's lock on the import's
row says that it lives. `attempts` is the fencing token: a worker whose claim ran out cannot speak for its
successor.
"""

from datetime import datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _

from recipients.models import Import

CLAIM_LASTS = timedelta(seconds=60)  # renewed every second
LOCKED_WITHIN = timedelta(seconds=5)
QUEUED_LASTS = timedelta(seconds=30)  # longer in the queue than this, its wake-up may be lost
MOST_ATTEMPTS = 5  # a file that ends its worker each time must not do so for ever


class LostRace(Exception):
    """The claim ran out and another worker has the import: weather, not an error."""


def claim(import_id: int, *, now: datetime) -> Import | None:
    """Take an import for one attempt; None where it is over, not its turn, or another worker's."""
    try:
        with transaction.atomic():
            taken = (
                _its_turn(now)
                .filter(pk=import_id)
                .update(
                    status=Import.Status.RUNNING, attempts=F("attempts") + 1, claimed_until=now + CLAIM_LASTS, done=0
                )
            )
    except IntegrityError:  # import_one_runs_per_list: another import was quicker
        return None
    if not taken:
        return None
    job = Import.objects.select_related("list").get(pk=import_id)
    if job.attempts > MOST_ATTEMPTS:
        fail(
            job,
            error=_("The import stopped %(times)d times. Split the file and try again.") % {"times": MOST_ATTEMPTS},
            now=now,
        )
        return None
    return job


def resumable(now: datetime) -> list[int]:
    """Return the imports whose worker died or whose wake-up was lost."""
    waited = Q(status=Import.Status.RUNNING) | Q(created_at__lt=now - QUEUED_LASTS)
    with transaction.atomic():
        # A row that its worker has locked is being finished.
        rows = _its_turn(now).filter(waited).select_for_update(skip_locked=True, of=("self",))
        return list(rows.values_list("pk", flat=True))


def next_in_line(import_id: int) -> int | None:
    """Return the import that waited for this one's list."""
    line = Import.objects.filter(status=Import.Status.QUEUED, list__imports=import_id)
    return line.order_by("id").values_list("pk", flat=True).first()


def renew(job: Import, *, done: int, now: datetime) -> None:
    """Keep the claim, and show how far the work is.

    :raises LostRace: the claim is another worker's.
    """
    _change(job, done=done, claimed_until=now + CLAIM_LASTS)


def give_back(job: Import, *, now: datetime, wait: timedelta = timedelta()) -> None:
    """Leave the import to the next worker, as if it had not been begun: that it stops is not the file's fault.

    :raises LostRace: the claim is another worker's.
    """
    _change(job, attempts=F("attempts") - 1, done=0, claimed_until=now + wait)


def rely_on_lock(job: Import, *, now: datetime) -> None:
    """Let the claim run out, as `hold` comes next: who is killed then keeps the next worker waiting no longer.

    :raises LostRace: the claim is another worker's.
    """
    _change(job, claimed_until=now + LOCKED_WITHIN)


def hold(job: Import) -> None:
    """Lock the import's row until the transaction ends.

    :raises LostRace: the claim is another worker's.
    """
    if not _own(job).select_for_update(of=("self",)).exists():
        raise LostRace(str(job))


def finish(job: Import, *, now: datetime, **counts: Any) -> None:
    _change(
        job, status=Import.Status.DONE, claimed_until=None, finished_at=now, done=F("size"), file="", error="", **counts
    )


def fail(job: Import, *, error: str, now: datetime, **counts: Any) -> None:
    """End the import without a change to the list; the upload goes."""
    _change(job, status=Import.Status.FAILED, claimed_until=None, finished_at=now, file="", error=error, **counts)
    forget_file(job)


def forget_file(job: Import) -> None:
    if job.file.name:
        default_storage.delete(job.file.name)


def _its_turn(now: datetime) -> Any:
    earlier = Import.objects.unfinished().filter(list=OuterRef("list"), pk__lt=OuterRef("pk"))
    free = Q(status=Import.Status.QUEUED) | Q(status=Import.Status.RUNNING, claimed_until__lt=now)
    return Import.objects.filter(free, ~Exists(earlier))


def _own(job: Import) -> Any:
    return Import.objects.filter(pk=job.pk, status=Import.Status.RUNNING, attempts=job.attempts)


def _change(job: Import, **changes: Any) -> None:
    if not _own(job).update(**changes):
        raise LostRace(str(job))

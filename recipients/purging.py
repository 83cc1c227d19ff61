"""Deleted lists: their rows leave in slices, so that no transaction holds millions of them."""

from datetime import datetime, timedelta

from django.core.files.storage import default_storage

from recipients.models import Recipient, RecipientList

SLICE = 20_000  # rows a transaction: some tenths of a second
# A batch that was being prepared when its list was deleted finishes with it.
PURGE_AFTER = timedelta(hours=1)


def due(now: datetime) -> list[int]:
    return list(RecipientList.objects.filter(deleted_at__lt=now - PURGE_AFTER).values_list("pk", flat=True))


def purge_list(list_id: int) -> None:
    """Remove what a deleted list holds, and then the list; it may be interrupted and begun again."""
    gone = RecipientList.objects.filter(pk=list_id).exclude(deleted_at=None).first()
    if gone is None:
        return
    rows = Recipient.objects.filter(list_id=list_id).order_by("id")
    while ids := list(rows.values_list("id", flat=True)[:SLICE]):
        Recipient.objects.filter(list_id=list_id, id__lte=ids[-1]).delete()
    for kept in gone.imports.all():
        for file in filter(None, (kept.file, kept.rejects)):
            default_storage.delete(str(file.name))
    gone.delete()

"""How fast a list file gets onto a list.

`load` reads, checks and copies the file into the staging table; `end_to_end` is a whole import, from
the stored file to the committed list. The peer is what Django offers for the same: the csv module, its
own address check and `bulk_create`.
"""

import csv
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from mailpush.mail import charsets, tables
from mailpush.mail.variables import VARIABLES
from recipients import purging
from recipients.imports import work
from recipients.imports.staging import staging
from recipients.models import Import, Recipient, RecipientList
from sending.delivery import engine

DOMAINS = ("gmail.example", "qq.example", "163.example", "outlook.example", "corp.example.org")
EVERY_AGAIN = 50
EVERY_WRONG = 100
PEER_BATCH = 1000
PEER_ROWS = 200_000  # more does not change its rate


def run(rows: int) -> dict[str, Any]:
    """Measure with a file of so many lines: one in 50 comes twice, one in 100 has no address."""
    engine.settle()  # as workers do at their start
    with _account() as account, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_file(path, rows)
        load = _seconds(lambda: _load(path))
        whole = _seconds(lambda: _import(path, _list(account, "import")))
        peak = _peak_rss_mb()
        peer_rows = min(rows, PEER_ROWS)
        peer = _seconds(lambda: _bulk_create(path, _list(account, "peer"), peer_rows))
    return {
        "rows": rows,
        "load_rows_per_s": round(rows / load),
        "end_to_end_rows_per_s": round(rows / whole),
        "peak_rss_mb": peak,
        "peers": {"django bulk_create": round(peer_rows / peer)},
    }


def _load(path: Path) -> None:
    with path.open("rb") as file, staging() as staged, staged.copying():
        _layout, blocks = tables.read(file, charsets.detect(file))
        for block in blocks:
            staged.add(block.records)


def _import(path: Path, recipient_list: RecipientList) -> None:
    job = Import(list=recipient_list, filename=path.name, size=path.stat().st_size, created_by="bench")
    with path.open("rb") as file:
        job.file.save(path.name, File(file), save=True)
    work.run(job.pk)
    job.refresh_from_db()
    if job.status != Import.Status.DONE:
        raise RuntimeError(f"The import failed: {job.error or job.get_status_display()}")


def _bulk_create(path: Path, recipient_list: RecipientList, rows: int) -> None:
    """Do the same as people write it with Django."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = islice(csv.reader(file), 1, rows + 1)
        with transaction.atomic():
            while batch := list(islice(reader, PEER_BATCH)):
                wanted = [
                    Recipient(
                        list=recipient_list, address=row[0], variables=dict(zip(VARIABLES[1:], row[1:], strict=True))
                    )
                    for row in batch
                    if _is_address(row[0])
                ]
                Recipient.objects.bulk_create(wanted, ignore_conflicts=True)
            recipient_list.count = recipient_list.recipients.count()
            recipient_list.save(update_fields=["count"])


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _write_file(path: Path, rows: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"{{{name}}}" for name in VARIABLES])
        for number in range(rows):
            reader = number - 1 if number % EVERY_AGAIN == 1 else number
            domain = "" if number % EVERY_WRONG == EVERY_WRONG - 1 else f"@{DOMAINS[reader % len(DOMAINS)]}"
            writer.writerow(
                [f"reader{reader}{domain}", f"张三{number}", "三丰", "先生", "1990/1/1", f"138{number:08d}"]
            )


@contextmanager
def _account() -> Iterator[Account]:
    account = Account.objects.create(name="bench import")
    try:
        yield account
    finally:
        for recipient_list in account.lists.all():
            RecipientList.objects.filter(pk=recipient_list.pk).update(deleted_at=timezone.now())
            purging.purge_list(recipient_list.pk)
        account.delete()


def _list(account: Account, name: str) -> RecipientList:
    return RecipientList.objects.create(account=account, name=name, alias=f"{name}@bench.example")


def _seconds(deed: Callable[[], None]) -> float:
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)

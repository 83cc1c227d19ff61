"""The lines of a file that were left out, as a CSV file that spreadsheets open as it is meant."""

import csv
import tempfile
from collections.abc import Iterable
from typing import IO

from django.core.files import File
from django.utils.translation import gettext as _

from mailpush.lib import files
from mailpush.mail.tables import Reject
from recipients.imports import reasons
from recipients.models import Import

MOST_LINES = 100_000  # nobody repairs more by hand, and the file stays one that programs open
TEXT_LENGTH = 1000  # characters of a line that are shown

# Spreadsheets run cells that begin with these as formulas (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Rejects:
    """Collects rejected lines; the file exists from the first of them on."""

    def __init__(self) -> None:
        self.count = 0
        self._file: IO[str] | None = None

    def add(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            if self._file is None:
                # The byte order mark tells Excel that this is UTF-8.
                self._file = tempfile.TemporaryFile("w+", encoding="utf-8-sig", newline="", suffix=".csv")  # noqa: SIM115
                csv.writer(self._file).writerow([_("Line"), _("Text"), _("Reason")])
            self.count += 1
            if self.count <= MOST_LINES:
                text = reject.text[:TEXT_LENGTH].replace("\0", "")
                csv.writer(self._file).writerow([reject.line, defused(text), reasons.of_line(reject)])

    def save(self, job: Import) -> str:
        """Put the file beside the uploads; return its name, or nothing where no line was rejected."""
        if self._file is None:
            return ""
        if self.count > MOST_LINES:
            rest = _("… and %(count)d more lines.") % {"count": self.count - MOST_LINES}
            csv.writer(self._file).writerow(["", rest, ""])
        self._file.flush()
        binary = self._file.buffer  # type: ignore[attr-defined]
        binary.seek(0)
        job.rejects.name = files.keep(job.new_name(".csv"), File(binary))
        return job.rejects.name

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def defused(text: str) -> str:
    """Return the text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text

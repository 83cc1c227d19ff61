"""What is wrong with a file or a line, in words that say what to do."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mailpush.mail.charsets import FileProblem, NotAList
from mailpush.mail.tables import Problem, Reject
from mailpush.mail.variables import LENGTHS

_FILES = {
    FileProblem.EMPTY: gettext_lazy("The file is empty. Choose a txt or csv file with one recipient in each line."),
    FileProblem.EXCEL: gettext_lazy("This is an Excel file. Save it as CSV first, then upload that file."),
    FileProblem.ARCHIVE: gettext_lazy("This is an archive. Unpack it first, then upload the txt or csv file inside."),
    FileProblem.PDF: gettext_lazy("This is a PDF. Lists are txt or csv files with one recipient in each line."),
    FileProblem.IMAGE: gettext_lazy("This is an image. Lists are txt or csv files with one recipient in each line."),
    FileProblem.BINARY: gettext_lazy("This is not a text file. Lists are txt or csv files."),
    FileProblem.NO_ADDRESS_COLUMN: gettext_lazy(
        "The heading names columns, but none with the addresses. Call that column {EAddr}."
    ),
    FileProblem.LINE_TOO_LONG: gettext_lazy("Line %(line)d never ends. Lists have one recipient in each line."),
}
_LINES = {
    Problem.NO_ADDRESS: gettext_lazy("There is no address."),
    Problem.BAD_ADDRESS: gettext_lazy("Not an e-mail address: %(detail)s"),
    Problem.TOO_LONG: gettext_lazy("%(detail)s is longer than %(most)s characters."),
    Problem.TOO_MANY_CELLS: gettext_lazy(
        "There are %(detail)s values, more than columns. Put a value with a separator in it in quotation marks."
    ),
    Problem.OPEN_QUOTE: gettext_lazy("A quotation mark is opened but never closed."),
    Problem.UNREADABLE: gettext_lazy("Some characters cannot be read. Save the file as UTF-8."),
}


def of_file(finding: NotAList) -> str:
    return _FILES[finding.problem] % {"line": finding.line}


def of_line(reject: Reject) -> str:
    return _LINES[reject.problem] % {"detail": reject.detail, "most": LENGTHS.get(reject.detail, "")}


def nothing_valid(*, read: int) -> str:
    if not read:
        return _("The file has a heading but no lines. Put one recipient in each line.")
    return ngettext(
        "The file's only line cannot be used. The rejected lines say why.",
        "None of the %(count)d lines can be used. The rejected lines say why.",
        read,
    ) % {"count": read}

"""Examining addresses, one by one and in files."""

from django.conf import settings
from django.core import signing
from django.core.files.storage import default_storage
from django.urls import reverse

from mailpush.rpc import errors, uploads
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, second
from mailpush.rpc.params import Params
from sending.checks import Finding, Verdict
from sending.models import AddressFile
from sending.services import address_files

SALT = "rpc.address_files"
PROBES = frozenset({"FULL", "BASIC_ONLY"})
STATUSES = {"queued": "pending", "running": "processing", "done": "completed", "failed": "failed"}


def validate_email(caller: Caller, params: Params) -> Fields:
    """Tell what is known of an address. No mailbox is probed, so both kinds of probe are answered alike."""
    if params.text("ProbeType", "FULL").upper() not in PROBES:
        raise errors.not_valid("ProbeType", "ProbeType is FULL or BASIC_ONLY.", kind="Malformed")
    finding = address_files.examine(params.text("Email", most=320), by=caller.by, now=caller.now)
    address = finding.address
    return {
        "LocalPart": address.local.lower().partition("+")[0] if address else "",
        "DomainPart": address.domain if address else "",
        "Status": finding.verdict.value,
        "SubStatus": finding.detail,
        "IsFreeMail": bool(finding.provider),
        "Provider": finding.provider,
    }


def check_disposable(caller: Caller, params: Params) -> Fields:
    finding = address_files.examine(params.text("Email", most=320), by=caller.by, now=caller.now)
    return {
        "IsDisposable": _word(is_so=finding.is_disposable),
        "IsFormatValid": _word(is_so=finding.address is not None),
        "IsMxValid": _word(is_so=finding.takes_mail),
        "IsOkToSend": _word(is_so=_may_send(finding)),
    }


def send_validate_file(caller: Caller, params: Params) -> Fields:
    """Examine a file that was uploaded here; no other URL is fetched."""
    upload = uploads.find(params.text("FileUrl"), account=caller.account, name="FileUrl")
    with default_storage.open(upload.file, "rb") as file:
        started = address_files.start(
            file,
            name=params.text("FileName", most=255),
            address_column=params.number("AddressColumn", lowest=1, highest=100),
            has_heading=params.flag("HasHeaderRow"),
            removes_duplicates=params.flag("RemoveDuplicate"),
            by=caller.by,
            now=caller.now,
        )
    return {"FileId": started.token}


def get_validate_file_status(caller: Caller, params: Params) -> Fields:
    return _described(_own(caller, params))


def get_validate_file(caller: Caller, params: Params) -> Fields:
    row = _own(caller, params)
    if not row.result:
        raise errors.not_valid("FileStatus", f"{row.name} is not examined yet, or could not be.", kind="NotFinished")
    token = signing.dumps(row.token, salt=SALT)
    return {"FileUrl": settings.MAILPUSH_PUBLIC_URL + reverse("rpc:address-file", args=[token])}


def delete_validate_file(caller: Caller, params: Params) -> Fields:
    address_files.delete(_own(caller, params), by=caller.by)
    return {}


def list_validate_file(caller: Caller, params: Params) -> Fields:
    rows = AddressFile.objects.for_account(caller.account).order_by("-pk")
    rows = rows.filter(created_at__gte=params.moment("StartTime"), created_at__lte=params.moment("EndTime"))
    if keyword := params.text("FileKeyword", ""):
        rows = rows.filter(name__icontains=keyword)
    total = rows.count()
    page = params.page(most=100, usual=10, number="Page")
    return {
        "Files": [{**_described(row), "IsDownloadable": bool(row.result)} for row in rows[page.rows]],
        "Page": page.number,
        "PageSize": page.size,
        "TotalPages": -(-total // page.size),
        "TotalSize": total,
        "HasNext": page.rows.stop < total,
    }


def get_validation_quota(caller: Caller, _params: Params) -> Fields:
    used = address_files.used(caller.account, now=caller.now)
    return {"TotalQuota": address_files.ADDRESSES_A_MONTH, "UsedQuota": used}


def _own(caller: Caller, params: Params) -> AddressFile:
    token = params.text("FileId")
    row = AddressFile.objects.for_account(caller.account).filter(token=token).first()
    if row is None:
        raise errors.not_found("FileId", f"You have no file with the id {token[:64]}.")
    return row


def _may_send(finding: Finding) -> bool:
    return finding.verdict is Verdict.VALID and not finding.is_disposable


def _word(*, is_so: bool) -> str:
    return "true" if is_so else "false"


def _described(row: AddressFile) -> Fields:
    return {
        "FileId": row.token,
        "FileName": row.name,
        "Status": STATUSES[row.status],
        "Percentage": f"{row.percent}%",
        "TotalNum": str(row.total),
        "ProcessedNum": str(row.processed),
        "ValidNum": str(row.valid),
        "InvalidNum": str(row.invalid),
        "DoNotMailNum": str(row.do_not_mail),
        "UnknownNum": str(row.unknown),
        "CatchAllNum": "0",
        "UploadTime": second(row.created_at),
        "CompleteTime": second(row.finished_at),
    }

"""Files that SDKs upload before they send or validate them: kept a day, and the only files a URL may name.

The SDKs ask for a place (`AuthorizeFileUpload`), post the file to `https://<Bucket>.<Endpoint>/` as to an object store,
and name it by its URL afterwards. No URL is ever fetched: those of our own store are looked up, all others refused.
"""

import base64
import binascii
import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core import signing
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Account, Permission
from mailpush.lib import files
from mailpush.rpc import answers, refused
from mailpush.rpc.errors import ApiError, not_valid
from mailpush.rpc.models import Upload

BUCKET = "upload"
LARGEST = 20 * 1024 * 1024  # bytes; a mail with all its attachments has 15 MB
FIELDS_BYTES = 64 * 1024  # of the form around it
MOST_BYTES = 1024 * 1024 * 1024  # of one account at a time
KEPT_FOR = timedelta(days=1)
PLACE_LASTS = timedelta(hours=1)
SALT = "rpc.uploads"


def endpoint() -> str:
    """Return the host below which the bucket stands; the operator points `upload.<host>` here as well."""
    return urlsplit(settings.MAILPUSH_PUBLIC_URL).netloc


def authorize(*, by: Actor) -> dict[str, Any]:
    """Return a place for one file, with what the SDK has to send along."""
    by.must(Permission.WORK)
    key = f"{secrets.token_hex(16)}/file"
    expires = timezone.now() + PLACE_LASTS
    policy = {"expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "conditions": [["eq", "$key", key]]}
    return {
        "AccessKeyId": by.name.rpartition(" ")[2],
        "Bucket": BUCKET,
        "Endpoint": endpoint(),
        "EncodedPolicy": base64.b64encode(json.dumps(policy).encode()).decode(),
        "ObjectKey": key,
        "Signature": signing.dumps([by.account.pk, key], salt=SALT),
        "UseAccelerate": False,
    }


def is_upload(request: HttpRequest) -> bool:
    return request.method == "POST" and request.META.get("CONTENT_TYPE", "").startswith("multipart/form-data")


def receive(request: HttpRequest) -> HttpResponse:
    """Take a file; the answer is XML, as an object store's."""
    request_id = answers.new_request_id()
    try:
        upload = _kept(request)
    except ApiError as error:
        return answers.failure(error, request_id=request_id, host=request.META.get("HTTP_HOST", ""), as_xml=True)
    except files.StorageUnavailable as refusal:
        return answers.failure(
            refused.as_error(refusal), request_id=request_id, host=request.META.get("HTTP_HOST", ""), as_xml=True
        )
    fields = {
        "Bucket": BUCKET,
        "Location": f"http://{BUCKET}.{endpoint()}/{upload.key}",
        "Key": upload.key,
        "ETag": f'"{upload.digest.upper()}"',
    }
    response = HttpResponse(answers.xml_of("PostResponse", fields), status=201, content_type="application/xml")
    response["x-acs-request-id"] = request_id
    return response


def content_at(url: str, *, account: Account) -> bytes:
    """Return the file that the account has uploaded to this URL, or that stands in a `data:` URL itself.

    :raises ApiError: it is another URL, or no such file is kept any more.
    """
    if url.startswith("data:"):
        return _inline(url)
    upload = find(url, account=account)
    with default_storage.open(upload.file, "rb") as file:
        return bytes(file.read())


def find(url: str, *, account: Account, name: str = "AttachmentUrl") -> Upload:
    """Return the account's upload with this URL.

    :raises ApiError: it is another URL, or no such file is kept any more.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    key = unquote(parts.path).removeprefix("/")
    if parts.netloc != f"{BUCKET}.{endpoint()}":
        sentence = f"{name} must be a file uploaded with AuthorizeFileUpload, or a data: URL. No other URL is fetched."
        raise not_valid(name, sentence)
    upload = Upload.objects.filter(account=account, key=key.replace("\0", "")).first()
    if upload is None:
        raise not_valid(name, f"There is no such upload. Files are kept for {KEPT_FOR.days} day.", kind="NotFound")
    return upload


def purge(*, now: datetime) -> int:
    """Remove what was kept long enough; return how many."""
    old = list(Upload.objects.filter(created_at__lt=now - KEPT_FOR)[:1000])
    for upload in old:
        default_storage.delete(upload.file)
    Upload.objects.filter(pk__in=[upload.pk for upload in old]).delete()
    return len(old)


def _kept(request: HttpRequest) -> Upload:
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST + FIELDS_BYTES:
        raise _too_large()  # before it is written to our disk, whoever sends it
    file = request.FILES.get("file")
    files.must_have_come(request)
    try:
        account_id, key = signing.loads(request.POST.get("Signature", ""), salt=SALT, max_age=PLACE_LASTS)
    except signing.BadSignature as error:
        raise ApiError("SignatureDoesNotMatch", "This place was not given out, or an hour ago: ask for one.") from error
    if key != request.POST.get("key") or not isinstance(file, UploadedFile):
        raise ApiError("InvalidArgument", "key and file must be those that were authorized.")
    if (file.size or 0) > LARGEST:
        raise _too_large()
    return _keep(file, account_id=account_id, key=key)


def _keep(file: "UploadedFile[Any]", *, account_id: int, key: str) -> Upload:
    sizes = Upload.objects.filter(account_id=account_id).values_list("size", flat=True)
    if sum(sizes) + (file.size or 0) > MOST_BYTES:
        raise ApiError("UploadsFull", f"Files of {MOST_BYTES // 2**20} MB are kept already. They go after a day.")
    digest = hashlib.md5(usedforsecurity=False)
    for piece in file.chunks():
        digest.update(piece)
    file.seek(0)
    with files.refusing():
        name = files.keep(f"uploads/{secrets.token_hex(16)}", file)
    try:
        with transaction.atomic():
            before = Upload.objects.select_for_update().filter(key=key).first()
            upload, _is_new = Upload.objects.update_or_create(
                key=key,
                defaults={
                    "account_id": account_id,
                    "file": name,
                    "size": file.size or 0,
                    "digest": digest.hexdigest(),
                    "created_at": timezone.now(),
                },
            )
    except BaseException:
        files.discard(name)
        raise
    if before:  # an SDK has posted it once more
        default_storage.delete(before.file)
    return upload


def _too_large() -> ApiError:
    return ApiError("EntityTooLarge", f"A file has at most {LARGEST // 2**20} MB.")


def _inline(url: str) -> bytes:
    head, _comma, data = url.partition(",")
    if not head.endswith(";base64"):
        raise not_valid("AttachmentUrl", "A data: URL must be base64: data:text/plain;base64,…")
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise not_valid("AttachmentUrl", "The data: URL holds no base64.") from error

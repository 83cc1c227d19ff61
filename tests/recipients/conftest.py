"""Lists and uploads."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recipients.imports import work
from recipients.models import Import, RecipientList
from recipients.services import imports
from tests.factories import RecipientListFactory


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    """Uploads of a test go with it."""
    storages = {**settings.STORAGES}
    storages["default"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "files")},
    }
    settings.STORAGES = storages


@pytest.fixture
def recipient_list(account) -> RecipientList:
    return RecipientListFactory(account=account, name="Customers", alias="customers@example.com")


@pytest.fixture
def upload(recipient_list, actor, now):
    """Upload a file into the list, as a member does."""

    def start(content: str | bytes, *, name: str = "list.csv", into: RecipientList = recipient_list) -> Import:
        body = content.encode() if isinstance(content, str) else content
        return imports.start(into, file=SimpleUploadedFile(name, body), by=actor, now=now)

    return start


@pytest.fixture
def imported(upload):
    """Upload a file and do its import."""

    def do(content: str | bytes) -> Import:
        job = upload(content)
        work.run(job.pk)
        job.refresh_from_db()
        return job

    return do

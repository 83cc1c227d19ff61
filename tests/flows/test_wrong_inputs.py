"""What people and programs get wrong, through the doors they use: a sentence says what, and nothing has changed.

The last part takes away what an input needs: the broker, room in the storage.
"""

import http.client
import http.cookiejar
import io
import re
import resource
import urllib.parse
import urllib.request
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from accounts.models import Account, AuditEntry, Invitation
from domains.models import Domain
from domains.services.domains import add_key
from mailpush.celery import app as celery_app
from mailpush.mail.dkim import generate_key
from recipients.imports import claims, work
from recipients.models import Import, Recipient, RecipientList
from senders.models import Sender, Tag
from sending import expansion
from sending.delivery.composing import ContentComposer
from sending.delivery.parcels import QueuedMessage
from sending.models import Batch, Content, Message
from templates_app.models import Template
from tests.factories import (
    BatchFactory,
    ContentFactory,
    DomainFactory,
    MessageFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    TemplateFactory,
)

ROWS = (Account, Domain, Sender, Tag, RecipientList, Recipient, Import, Template, Content, Batch, Message, Invitation)


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    """Storage of the test's own; return its folder."""
    folder = tmp_path / "files"
    options = {**settings.STORAGES["default"]["OPTIONS"], "location": str(folder)}
    settings.STORAGES = {**settings.STORAGES, "default": {**settings.STORAGES["default"], "OPTIONS": options}}
    return folder


@pytest.fixture
def readers(account):
    return RecipientListFactory(account=account, name="Readers")


def state(storage=None) -> dict[str, list[dict[str, object]]]:
    """Return every row of what customers own, and the files kept."""
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in ROWS}
    files = [path.name for path in storage.rglob("*") if path.is_file()] if storage and storage.is_dir() else []
    return {**rows, "audit": list(AuditEntry.objects.values("action")), "files": files}


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode().replace("\xa0", " "))


# ── Files ──


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, "a@north.example\n")
    return file.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("list.csv", archive("list.txt"), "This is an archive."),
        ("list.xlsx", archive("[Content_Types].xml", "xl/workbook.xml"), "This is an Excel file. Save it as CSV first"),
        ("list.xlsx", archive("docProps/app.xml", "[Content_Types].xml"), "This is an Excel file."),
        ("list.csv", b"", "The file is empty."),
        ("list.csv", b" \r\n\r\n", "The file is empty."),
        ("list.csv", b"%PDF-1.7\n", "This is a PDF"),
        ("list.csv", b"\x7fELF\0\0\0\1" * 99, "This is not a text file."),
    ],
)
def test_file_that_is_no_list_is_refused(owner_client, readers, storage, name, content, sentence):
    before = state(storage)

    answer = owner_client.post(
        reverse("recipients:list-upload", args=[readers.pk]), {"file": SimpleUploadedFile(name, content)}
    )

    assert answer.status_code == 400
    assert sentence in text_of(answer)
    assert state(storage) == before


@pytest.mark.django_db
def test_file_without_a_usable_line_changes_no_list(owner_client, readers):
    file = SimpleUploadedFile("list.csv", b"EAddr,UserName\nnot an address,Ann\n@north.example,Bob\n")
    owner_client.post(reverse("recipients:list-upload", args=[readers.pk]), {"file": file})

    work.run(Import.objects.get().pk)

    answer = owner_client.get(reverse("recipients:list", args=[readers.pk]))
    assert "None of the 2 lines can be used. The rejected lines say why." in text_of(answer)
    readers.refresh_from_db()
    assert (readers.count, Recipient.objects.count()) == (0, 0)


# ── Orders ──


@pytest.fixture
def things(account, readers):
    """What an order needs, as the form is filled in."""
    RecipientFactory.create_batch(3, list=readers)
    RecipientList.objects.update(count=3)
    sender = SenderFactory(account=account, domain__account=account)
    template = TemplateFactory(account=account, approve=True)
    return {
        "list": readers.pk,
        "template": template.pk,
        "sender": sender.pk,
        "address_type": "random",
        "when": "now",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("template", lambda account: TemplateFactory(account=account).pk, "Select a valid choice"),
        ("list", lambda account: RecipientListFactory(account=account, name="Nobody").pk, "Nobody is on “Nobody” yet."),
        ("at", lambda _account: "2020-01-01T10:00", "Choose a time in the future, within a year."),
        ("at", lambda _account: "2999-01-01T10:00", "Choose a time in the future, within a year."),
        ("at", lambda _account: "0001-01-01T00:00", ""),
        ("at", lambda _account: "tomorrow", "Enter a valid date/time."),
        ("address_type", lambda _account: "none", "Select a valid choice"),
        ("list", lambda _account: "abc", "Select a valid choice"),
        ("list", lambda _account: "9" * 30, "Select a valid choice"),
        ("template", lambda _account: "-1", "Select a valid choice"),
        ("tag", lambda _account: "9" * 30, "Select a valid choice"),
    ],
)
def test_order_that_cannot_be_is_refused(owner_client, account, things, field, value, sentence):
    answers = {**things, field: value(account), **({"when": "later"} if field == "at" else {})}
    before = state()

    answer = owner_client.post(reverse("sending:batch-create"), answers)

    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert field in answer.context["form"].errors
    assert state() == before


def confirmed(client, things) -> str:
    """Fill the form in and return the token on the page that asks once more."""
    page = client.post(reverse("sending:batch-create"), things).content.decode()
    return re.search(r'name="token" value="([^"]+)"', page)[1]


@pytest.mark.django_db
def test_order_over_the_quota_is_refused(owner_client, account, things):
    token = confirmed(owner_client, things)
    Account.objects.filter(pk=account.pk).update(daily_quota=2)
    before = state()

    answer = owner_client.post(reverse("sending:batch-order"), {"token": token}, follow=True)

    assert re.search(r"\b2\b.* left", text_of(answer))
    assert state() == before


@pytest.mark.django_db
def test_order_given_twice_is_one_batch(owner_client, things):
    token = confirmed(owner_client, things)

    answers = [owner_client.post(reverse("sending:batch-order"), {"token": token}) for _ in range(2)]

    batch = Batch.objects.get()
    assert {answer.url for answer in answers} == {reverse("sending:batch", args=[batch.pk])}


@pytest.mark.django_db
def test_sender_on_an_unverified_domain_is_refused(owner_client, account):
    DomainFactory(account=account)
    domain = DomainFactory(account=account, status=Domain.Status.UNVERIFIED)
    before = state()

    answer = owner_client.post(
        reverse("senders:create"), {"domain": domain.pk, "account_part": "news", "stream": "batch"}
    )

    assert "domain" in answer.context["form"].errors
    assert "Select a valid choice" in text_of(answer)
    assert state() == before


# ── Fields ──

TEMPLATE = {"name": "Autumn", "subject": "Autumn", "sender_name": "Shop", "html": "<p>Hello</p>"}
LIST = {"name": "Friends", "alias": "friends@lists.example", "description": "All of them"}
SENDER = {"account_part": "news", "stream": "batch", "reply_to": "desk@elsewhere.example"}
FORMS = {
    "templates_app:create": TEMPLATE,
    "recipients:list-create": LIST,
    "senders:create": SENDER,
    "senders:tag-create": {"name": "autumn"},
    "domains:create": {"name": "mail.shop.example"},
    "accounts:members": {"email": "ann@shop.example", "role": "developer"},
    "accounts:settings": {"name": "Example Ltd", "time_zone": "UTC"},
}
FREE_TEXT = [
    (form, field)
    for form, answers in FORMS.items()
    for field in answers
    if field not in {"html", "stream", "role", "time_zone"}
]


def post_form(client, account, form: str, **changes: str):
    extra = {"domain": DomainFactory(account=account).pk} if form == "senders:create" else {}
    before = state()
    answer = client.post(reverse(form), {**FORMS[form], **extra, **changes})
    return answer, before


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("html", "<p>Hello {UserName</p>", "a single “{”"),
        ("html", "<p>Hello {Nobody}</p>", "{Nobody} is not a variable"),
        ("subject", "100 % {", "a single “{”"),
        ("sender_name", "Shop {UserName}", "A sender name has 1 to 64 printable characters"),
    ],
)
def test_template_that_cannot_be_sent_is_refused(owner_client, account, field, value, sentence):
    answer, before = post_form(owner_client, account, "templates_app:create", **{field: value})

    assert sentence in text_of(answer).replace("&quot;", '"')
    assert state() == before


INJECTED = "Shop\r\nBcc: everyone@elsewhere.example\r\n\r\nHello"


@pytest.mark.django_db
@pytest.mark.parametrize("value", [INJECTED, INJECTED.replace("\r\n", "\n"), INJECTED.replace("\r\n", "\r")])
@pytest.mark.parametrize(
    ("form", "field"), [each for each in FREE_TEXT if each != ("recipients:list-create", "description")]
)
def test_header_in_a_field_is_refused(owner_client, account, form, field, value):
    answer, before = post_form(owner_client, account, form, **{field: value})

    account.refresh_from_db()
    names = [account.name, *RecipientList.objects.values_list("name", flat=True)]
    assert not any(set(name) & set("\r\n") for name in names)  # names may be brought onto one line
    if (form, field) not in {("recipients:list-create", "name"), ("accounts:settings", "name")}:
        assert answer.status_code in {200, 400}
        assert state() == before


@pytest.mark.django_db
def test_header_in_a_recipients_value_stays_a_value(account):
    sender = SenderFactory(account=account, domain__account=account)
    add_key(sender.domain, generate_key(), now=timezone.now())
    content = ContentFactory(sender=sender, subject="Hello {UserName}", sender_name="Shop")
    message = MessageFactory(batch=BatchFactory(content=content), variables={"UserName": INJECTED})

    mail = ContentComposer(content).compose([QueuedMessage.of(message)], now=timezone.now())[0].whole

    headers = mail.partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0].lower() for line in headers.split(b"\r\n") if line[:1].strip()}
    assert b"bcc" not in names
    assert b"\r" not in mail.replace(b"\r\n", b"")
    assert b"\n" not in mail.replace(b"\r\n", b"")


# ── Addresses of pages ──

ODD = ("9" * 30, "0")
ODD_QUERY = dict.fromkeys(
    (
        *("q", "page", "after", "status", "list", "template", "sender", "tag", "domain", "stream"),
        *(
            "since",
            "until",
            "from",
            "to",
            "start",
            "end",
            "days",
            "month",
            "action",
            "at",
            "batch",
            "sample",
            "recipient",
        ),
    ),
    "9" * 30 + "\x00",
)


def routes(patterns=None, before: str = "", names: str = "") -> list[tuple[str, str, tuple[str, ...]]]:
    """Return every named page of the console with its path and its parameters."""
    found = []
    for each in get_resolver().url_patterns if patterns is None else patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLPattern):
            found.append((path, each.name, tuple(each.pattern.converters)))
        else:
            found += routes(each.url_patterns, path, names)
    return [route for route in found if route[0].startswith("console/")]


ROUTES = routes()


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path, _name, parameters in ROUTES if parameters])
def test_page_of_what_cannot_be_is_not_found(owner_client, account, path):
    before = state()
    for odd in ODD:
        address = "/" + re.sub(r"<\w+:\w+>", odd, path)

        codes = {owner_client.get(address).status_code, owner_client.post(address).status_code}

        assert codes <= {200, 302, 400, 403, 404, 405, 410}, address
        assert "<int:" not in path or codes <= {404, 405}, address
    assert state() == before


# ── A broker that is away ──


@pytest.fixture
def no_broker(monkeypatch):
    """Nobody answers where the broker should be."""
    kept = celery_app.conf.broker_url
    disconnect()
    celery_app.conf.broker_url = "redis://127.0.0.1:1/0"
    yield
    disconnect()
    celery_app.conf.broker_url = kept


def disconnect() -> None:
    celery_app.pool.force_close_all()
    celery_app._pool = None
    celery_app.amqp._producer_pool = None


@pytest.mark.django_db(transaction=True)
def test_upload_without_a_broker_is_kept_and_taken_up_later(owner_client, readers, no_broker):
    file = SimpleUploadedFile("list.csv", b"ann@north.example\n")

    answer = owner_client.post(reverse("recipients:list-upload", args=[readers.pk]), {"file": file})

    assert answer.status_code == 302
    (waiting,) = claims.resumable(timezone.now() + timedelta(hours=1))
    work.run(waiting)
    assert Recipient.objects.get().address == "ann@north.example"


@pytest.mark.django_db(transaction=True)
def test_order_without_a_broker_is_kept_and_taken_up_later(owner_client, things, no_broker):
    token = confirmed(owner_client, things)

    answer = owner_client.post(reverse("sending:batch-order"), {"token": token})

    batch = Batch.objects.get()
    assert answer.url == reverse("sending:batch", args=[batch.pk])
    assert expansion.due(now=timezone.now() + timedelta(minutes=1)) == [batch]
    expansion.expand(batch.pk)
    assert Message.objects.filter(batch=batch).count() == 3


# ── A storage that cannot keep anything ──


def unwritable(storage: Path) -> None:
    """There is a file where the folder should be."""
    storage.write_text("")


def full(storage: Path) -> None:
    """Files end after some bytes, as they do on a full disk."""
    storage.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@pytest.fixture
def limits():
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)


# ── An upload larger than the machine would like ──

HUGE = 300 * 1024 * 1024
PIECE = b"reader@north.example,Reader\n" * 40_000
PASSWORD = "correct-horse-battery-9"


class Visitor:
    """A browser without a screen."""

    def __init__(self, platform) -> None:
        self._url, self._port = platform.url, platform.web_port
        self._cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies)).open

    def log_in(self, email: str) -> None:
        self._open(f"{self._url}/accounts/login/").close()
        assert "/console/" in self.post("/accounts/login/", {"login": email, "password": PASSWORD})

    def post(self, path: str, answers: dict[str, str]) -> str:
        """Send a form and return where it has led to."""
        body = urllib.parse.urlencode({**answers, "csrfmiddlewaretoken": self._token}).encode()
        with self._open(f"{self._url}{path}", body) as answer:
            return answer.url

    def upload(self, path: str, size: int) -> tuple[int, str]:
        """Send a file of that size piece by piece; return the answer's status and text."""
        edge = "frontier"
        fields = f'--{edge}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{self._token}\r\n'
        file = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n\r\n'
        head, end = (fields + file).encode(), f"\r\n--{edge}--\r\n".encode()
        door = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        door.putrequest("POST", path, skip_host=True)
        door.putheader("Host", "localhost")
        door.putheader("Origin", self._url)
        door.putheader("Cookie", "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies))
        door.putheader("Content-Type", f"multipart/form-data; boundary={edge}")
        door.putheader("Content-Length", str(len(head) + size // len(PIECE) * len(PIECE) + len(end)))
        door.endheaders(head)
        for _ in range(size // len(PIECE)):
            door.send(PIECE)
        door.send(end)
        answer = door.getresponse()
        text = answer.read().decode()
        door.close()
        return answer.status, text

    @property
    def _token(self) -> str:
        return next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")


def peak_memory(pid: int) -> int:
    """Return the most memory the process ever had, in KiB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])

"""The outside world as others have written it: a name server and mail servers of the distribution."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.programs import HOST, Nsd, Postfix, Program, must_be_root
from tests.mailpush.mail.smtp_kit import server_tls
from tests.sending.conftest import deliver, internet, private_key, sender, start_batch  # noqa: F401 fixtures

PLATFORM = (
    "platform A 127.0.0.1",
    "mx01.platform A 127.0.0.1",
    'spf1.platform TXT "v=spf1 ip4:127.0.0.1 -all"',
)


@pytest.fixture
def folder():
    """A folder that other users may pass through, which pytest's own do not allow."""
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nsd(folder, settings):
    """A name server that the platform asks; the platform itself is `platform.example` to it."""
    (folder / "nsd").mkdir()
    settings.PUBLIC_HOST = "platform.example"
    settings.MAILPUSH_MAIL_HOST = "mx01.platform.example"
    settings.MAILPUSH_SPF_INCLUDE = "spf1.platform.example"
    with Nsd(folder / "nsd") as nsd:
        settings.MAILPUSH_DNS_SERVERS = [(HOST, nsd.port)]
        yield nsd


@pytest.fixture
def receive(settings):
    """Have a mail server receive what is delivered from now on."""

    def receive(server: Program) -> None:
        settings.MAILPUSH_MX_PORT = server.port

    return receive


@pytest.fixture
def start_postfix(folder, tmp_path):
    """Start a Postfix; without a `pem` its certificate is one that nobody vouches for."""
    must_be_root("Postfix needs root to start.")
    server_tls(tmp_path)
    (folder / "postfix").mkdir()
    with ExitStack() as running:

        def start(*mailboxes: str, pem: bytes = (tmp_path / "mx.test.pem").read_bytes(), **options: str) -> Postfix:
            return running.enter_context(Postfix(folder / "postfix", mailboxes=mailboxes, pem=pem, **options))

        yield start


def zone_lines(records) -> list[str]:
    """Write records as a zone file has them: text in strings of at most 255 bytes (RFC 1035 section 3.3.14)."""
    return [f"{record.host}. {record.type} {_rdata(record)}" for record in records]


def _rdata(record) -> str:
    if record.type == "TXT":
        return " ".join(f'"{record.value[at : at + 250]}"' for at in range(0, len(record.value), 250))
    return f"{record.priority} {record.value}." if record.type == "MX" else f"{record.value}."

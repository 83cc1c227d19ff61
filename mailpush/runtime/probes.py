"""Whether the parts of a start find their places free, and answer yet."""

import http.client
import socket
from collections.abc import Iterable

from django.conf import settings

from mailpush.environment import Bind

WAITS = 5.0  # seconds; /readyz takes up to half of it
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 listening there is the operator's choice
OK = 200
SETTINGS = {"web": "MAILPUSH_WEB_BIND", "submission": "MAILPUSH_SUBMISSION_BIND", "mx": "MAILPUSH_MX_BIND"}


def missing(parts: Iterable[str]) -> str:
    """Return which of the named parts does not answer yet, empty when all do."""
    for name in parts:
        if not all(_is_open(bind) for bind in _doors(name)):
            return name
    return _web_trouble() if "web" in parts else ""


def taken() -> list[str]:
    """Return a sentence for each of our doors whose address cannot be had, with the setting that names another."""
    return [
        f"{name} could not be started on {bind}: {trouble}. Set {setting}."
        for name, setting in SETTINGS.items()
        for bind in _doors(name)
        if (trouble := _why_not(bind))
    ]


def _doors(name: str) -> list[Bind]:
    match name:
        case "web":
            return [settings.MAILPUSH_WEB_BIND]
        case "submission":
            return list(settings.MAILPUSH_SUBMISSION_BIND)
        case "mx":
            return [settings.MAILPUSH_MX_BIND]
        case "sandbox":
            ports = settings.SANDBOX_PORTS
            return [Bind("127.0.0.1", ports.dns), Bind("127.0.0.1", ports.smtp)]
    return []


def _why_not(bind: Bind) -> str:
    """Return why nobody can listen there now, empty when one can."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the doors do
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _is_open(bind: Bind) -> bool:
    try:
        socket.create_connection((EVERYWHERE.get(bind.host, bind.host), bind.port), timeout=WAITS).close()
    except OSError:
        return False
    return True


def _web_trouble() -> str:
    """Ask /readyz; its answer names the part that fails."""
    bind: Bind = settings.MAILPUSH_WEB_BIND
    door = http.client.HTTPConnection(EVERYWHERE.get(bind.host, bind.host), bind.port, timeout=WAITS)
    try:
        door.request("GET", "/readyz", headers={"Host": settings.PUBLIC_HOST})
        answer = door.getresponse()
        text = answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return "web"
    finally:
        door.close()
    return "" if answer.status == OK else f"web, which says {text}"

"""Probes and metrics for those who operate mailpush, and the page for when it is in trouble.

`/healthz` says that this process answers, `/readyz` whether what it needs answers too, `/metrics` how the queue
stands (Prometheus). Metrics name no customer, but are for visitors from this machine only: let a scraper elsewhere
come through an agent or a proxy that you protect, as the proxy's own requests come from loopback.
"""

import sys
import tempfile
import tomllib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError  # noqa: A004 the same as the built-in
from datetime import datetime
from pathlib import Path
from time import monotonic

import psycopg
from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count, Func, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, ProcessCollector, generate_latest

from mailpush.celery import app as celery_app
from sending.models import Batch, Chunk

ANSWERS_WITHIN = 2.5  # seconds for all checks together: load balancers give up soon
LOOPBACK = {"127.0.0.1", "::1"}

# Bounded, so that probes of a part that hangs never pile up threads.
_checkers = ThreadPoolExecutor(max_workers=6, thread_name_prefix="readiness")


@never_cache
def trouble(_request: HttpRequest) -> HttpResponse:
    """Tell a visitor that something broke (Django's handler500), or that the database is away, which passes."""
    is_away = isinstance(sys.exception(), OperationalError | InterfaceError)
    page = loader.render_to_string("500.html", {"is_away": is_away})
    return HttpResponse(page, status=503 if is_away else 500)


@require_safe
@never_cache
def health(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readiness(_request: HttpRequest) -> JsonResponse:
    end = monotonic() + ANSWERS_WITHIN
    checks = {name: _checkers.submit(check) for name, check in CHECKS.items()}
    answers = {name: _outcome(check, end - monotonic()) for name, check in checks.items()}
    is_ready = all(answer == "ok" for answer in answers.values())
    return JsonResponse(answers, status=200 if is_ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if request.META.get("REMOTE_ADDR") not in LOOPBACK:
        raise Http404
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    _measure_queue(registry, now=timezone.now())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


# ── Readiness ───────────────────────────────────────────────────────────────────────────────────


def _outcome(check: Future[None], seconds: float) -> str:
    """Return `ok`, or the kind of error: what a driver says may name hosts and users."""
    try:
        check.result(timeout=max(seconds, 0))
    except TimeoutError:
        check.cancel()
        return f"no answer within {ANSWERS_WITHIN} s"
    except Exception as error:  # noqa: BLE001 whatever a driver raises means "not ready"
        return f"failed: {type(error).__name__}"
    return "ok"


def _check_database() -> None:
    """Ask over a connection of its own: the pool would wait for half a minute."""
    parameters = connection.get_connection_params() | {"connect_timeout": 2}
    with psycopg.connect(**parameters) as asked:
        asked.execute("SELECT 1")


def _check_broker() -> None:
    with celery_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        broker.default_channel  # noqa: B018 opening it is what asks the broker


def _check_storage() -> None:
    """Write where files go; ask a remote storage, which has no cheap way to try writing."""
    if not isinstance(default_storage, FileSystemStorage):
        default_storage.exists("readyz")
        return
    folder = Path(default_storage.location)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"ready")
        file.flush()


CHECKS: dict[str, Callable[[], None]] = {
    "database": _check_database,
    "broker": _check_broker,
    "storage": _check_storage,
}

# ── Metrics ─────────────────────────────────────────────────────────────────────────────────────


def _measure_queue(registry: CollectorRegistry, *, now: datetime) -> None:
    build = Gauge("mailpush_build_info", "The version that answers", ["version"], registry=registry)
    build.labels(_version()).set(1)
    batches = Gauge("mailpush_batches_active", "Batches being prepared or sent", registry=registry)
    batches.set(Batch.objects.filter(status__in=[Batch.Status.PREPARING, Batch.Status.SENDING]).count())

    chunks = Gauge("mailpush_queue_chunks", "Chunks that wait or are being sent", ["stream"], registry=registry)
    waiting = Gauge("mailpush_queue_messages", "Messages not yet tried in them", ["stream"], registry=registry)
    lag = Gauge("mailpush_queue_lag_seconds", "How long the oldest chunk is overdue", ["stream"], registry=registry)
    streams = Chunk.objects.values("stream")
    for row in streams.annotate(
        chunks=Count("pk"), messages=Sum(Func("messages", function="cardinality")), oldest=Min("due_at")
    ):
        chunks.labels(row["stream"]).set(row["chunks"])
        waiting.labels(row["stream"]).set(row["messages"])
        lag.labels(row["stream"]).set(max((now - row["oldest"]).total_seconds(), 0))


def _version() -> str:
    project = Path(settings.BASE_DIR) / "pyproject.toml"
    return str(tomllib.loads(project.read_text())["project"]["version"])

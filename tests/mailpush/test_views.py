"""Probes and metrics, and what is said while the database is away."""

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def away(*_statement):
    raise OperationalError("the connection is closed")


def test_a_page_tells_that_the_database_is_away():
    visitor = Client(raise_request_exception=False)
    visitor.force_login(MembershipFactory().user)

    with connection.execute_wrapper(away):
        answer = visitor.get("/console/domains/")

    assert answer.status_code == 503
    assert "The database does not answer" in answer.content.decode()
    assert visitor.get("/console/domains/").status_code == 200


def test_a_page_tells_of_our_own_mistakes(monkeypatch):
    monkeypatch.setattr("mailpush.views.CHECKS", None)

    answer = Client(raise_request_exception=False).get("/readyz")

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()


def test_health_asks_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok")


def test_readiness_names_every_part(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "broker": "ok", "storage": "ok"})


def test_readiness_without_broker_says_so(client, monkeypatch):
    from mailpush.celery import app

    monkeypatch.setattr(app.conf, "broker_write_url", "redis+socket:///nowhere/valkey.sock")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["database"] == "ok"
    assert answer.json()["broker"].startswith("failed: ")


def test_metrics_count_the_queue(client, now):
    from sending.models import Chunk

    Chunk.objects.create(stream="batch", messages=[1, 2, 3], due_at=now)

    text = client.get("/metrics").content.decode()

    assert 'mailpush_queue_chunks{stream="batch"} 1.0' in text
    assert 'mailpush_queue_messages{stream="batch"} 3.0' in text
    assert 'mailpush_build_info{version="' in text


def test_metrics_are_for_this_machine_only(client):
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 404


def test_root_leads_to_the_console(client):
    assert client.get("/").headers["Location"] == "/console/"

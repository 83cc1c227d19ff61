"""What all of the REST API has in common: access, errors, limits, repeating calls."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from redis import Redis

from accounts import purging
from accounts.models import IdempotentCall, Role, Scope
from accounts.services import access_keys, idempotency
from mailpush.lib import rates
from sending.models import Message
from tests.conftest import Program
from tests.factories import SenderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def wanted(account):
    sender = SenderFactory(account=account, domain__account=account)
    return {
        "sender": sender.address,
        "recipients": [{"address": "anna@readers.example.org"}],
        "subject": "Hello",
        "text": "Hello",
    }


def wrong(answer):
    """Return status, code and field of an answer that is the documented error and nothing else."""
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"code", "message", "field"}
    assert body["message"]
    return answer.status_code, body["code"], body["field"]


# Access


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Bearer MP0.secret", "Basic {right}", "Bearer {id}.wrong", "Bearer {id}.", "Bearer é.x"],
)
def test_only_access_keys_come_in(program, header):
    key = program.key
    header = header.format(right=f"{key.key_id}.{key.secret}", id=key.key_id)

    answer = Client().get("/api/v1/messages", headers={"Authorization": header})

    assert wrong(answer) == (401, "not_authenticated", "")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_disabled_key_is_refused_at_once(program, actor):
    assert program.call("GET", "messages").status_code == 200
    access_keys.disable(program.key, by=actor)

    assert program.call("GET", "messages").status_code == 401


def test_use_of_a_key_is_noted(program):
    program.call("GET", "messages")

    program.key.refresh_from_db()
    assert program.key.last_used_at


@pytest.mark.parametrize(
    ("networks", "peer", "status"),
    [
        (["192.0.2.0/24"], "192.0.2.77", 200),
        (["192.0.2.0/24"], "::ffff:192.0.2.77", 200),
        (["192.0.2.0/24"], "192.0.3.1", 401),
        (["2001:db8::/32", "10.0.0.1/32"], "2001:db8::9", 200),
        (["2001:db8::/32"], "10.0.0.1", 401),
        (["192.0.2.0/24"], "", 401),
    ],
)
def test_a_key_may_be_for_some_networks_only(account, networks, peer, status):
    program = Program(account, networks=networks)

    answer = program.get("/api/v1/messages", REMOTE_ADDR=peer)

    assert answer.status_code == status


def test_behind_our_tls_proxy_its_word_counts(account, settings):
    program = Program(account, networks=["192.0.2.0/24"])
    forged = {"HTTP_X_FORWARDED_FOR": "192.0.2.1, 198.51.100.7", "HTTP_X_FORWARDED_PROTO": "https"}
    right = {"HTTP_X_FORWARDED_FOR": "198.51.100.7, 192.0.2.1", "HTTP_X_FORWARDED_PROTO": "https"}
    assert program.get("/api/v1/messages", REMOTE_ADDR="127.0.0.1", **right).status_code == 401

    settings.HTTPS = True

    assert program.get("/api/v1/messages", REMOTE_ADDR="127.0.0.1", **right).status_code == 200
    assert program.get("/api/v1/messages", REMOTE_ADDR="127.0.0.1", **forged).status_code == 401
    assert program.get("/api/v1/messages", REMOTE_ADDR="198.51.100.7", **right).status_code == 401


def test_a_key_reaches_its_scopes_only(account):
    assert Program(account, scopes=[Scope.MESSAGES]).call("GET", "messages").status_code == 200
    answer = Program(account, scopes=[Scope.LISTS]).call("GET", "messages")
    assert wrong(answer) == (403, "scope_missing", "")
    assert "messages" in answer.json()["message"]


# Errors


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "expected"),
    [
        ("GET", "nothing", "", "application/json", (404, "not_found", "")),
        ("GET", "messages/0", "", "application/json", (404, "not_found", "")),
        ("GET", "messages/99999999999999999999", "", "application/json", (404, "not_found", "")),
        ("GET", "messages/77", "", "application/json", (404, "not_found", "")),
        ("PUT", "messages", "{}", "application/json", (405, "method_not_allowed", "")),
        ("OPTIONS", "messages", "", "application/json", (405, "method_not_allowed", "")),
        ("POST", "messages", "{", "application/json", (400, "malformed_json", "")),
        ("POST", "messages", '{"a": NaN}', "application/json", (400, "malformed_json", "")),
        ("POST", "messages", b"\xff", "application/json", (400, "malformed_json", "")),
        ("POST", "messages", "[" * 100_000, "application/json", (400, "malformed_json", "")),
        ("POST", "messages", "[]", "application/json", (422, "invalid", "")),
        ("POST", "messages", "", "application/json", (422, "required", "sender")),
        ("POST", "messages", "a=b", "application/x-www-form-urlencoded", (415, "unsupported_media_type", "")),
    ],
)
def test_errors_have_one_shape(program, method, path, body, kind, expected):
    assert wrong(program.generic(method, f"/api/v1/{path}", body, content_type=kind)) == expected


def test_a_body_that_is_too_large_is_not_read(program):
    answer = program.post("/api/v1/messages", "", content_type="application/json", CONTENT_LENGTH=str(33 * 2**20))

    assert wrong(answer) == (413, "request_too_large", "")


def test_our_mistakes_have_the_shape_too(program, wanted, monkeypatch):
    monkeypatch.setattr("sending.services.sends.send", lambda *_args, **_kwargs: 1 / 0)

    assert wrong(program.call("POST", "messages", wanted)) == (500, "internal_error", "")


def test_a_database_that_is_away_means_later(program, wanted):
    def away(*_statement):
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(away):
        answer = program.call("POST", "messages", wanted)

    assert wrong(answer) == (503, "unavailable", "")
    assert int(answer["Retry-After"]) > 0


def test_messages_are_in_the_language_asked_for(program):
    answer = program.call("POST", "messages", {}, Accept_Language="zh-hans")

    assert not answer.json()["message"].isascii()


# Limits


def test_the_rate_is_the_accounts(program, account):
    account.requests_a_minute = 2
    account.save()

    answers = [program.call("GET", "messages"), Program(account).call("GET", "messages")]
    refused = program.call("GET", "messages")

    assert [(answer.status_code, answer["RateLimit-Remaining"]) for answer in answers] == [(200, "1"), (200, "0")]
    assert wrong(refused) == (429, "too_many_requests", "")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert (refused["RateLimit-Limit"], refused["RateLimit-Remaining"]) == ("2", "0")


def test_without_valkey_nothing_is_limited(program, account, monkeypatch):
    account.requests_a_minute = 0
    account.save()
    monkeypatch.setattr(rates, "_valkey", lambda: Redis.from_url("unix:///nowhere"))
    monkeypatch.setattr(rates, "_silent_until", 0.0)

    for _ in range(2):
        answer = program.call("GET", "messages")
        assert answer.status_code == 200
        assert "RateLimit-Limit" not in answer


# Repeating calls


def test_the_same_call_is_done_once(program, wanted):
    first = program.call("POST", "messages", wanted, Idempotency_Key="order 4711")
    second = program.call("POST", "messages", wanted, Idempotency_Key="order 4711")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert Message.objects.count() == 1
    assert first.json()["data"][0]["recipient"] not in IdempotentCall.objects.get().encrypted_answer


def test_a_key_is_for_one_thing(program, wanted):
    program.call("POST", "messages", wanted, Idempotency_Key="k")

    answer = program.call("POST", "messages", wanted | {"subject": "Other"}, Idempotency_Key="k")

    assert wrong(answer) == (409, "idempotency_key_reused", "Idempotency-Key")
    assert Message.objects.count() == 1


def test_keys_of_other_accounts_are_others(program, strange_program, wanted):
    program.call("POST", "messages", wanted, Idempotency_Key="k")

    assert strange_program.call("POST", "messages", wanted, Idempotency_Key="k").json()["code"] == "unknown_sender"


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
def test_a_key_has_printable_characters(program, wanted, key):
    answer = program.post("/api/v1/messages", wanted, content_type="application/json", HTTP_IDEMPOTENCY_KEY=key)

    assert wrong(answer) == (422, "bad_idempotency_key", "Idempotency-Key")


def test_what_was_refused_may_be_asked_again(program, wanted, account):
    account.daily_quota = 0
    account.save()
    refused = program.call("POST", "messages", wanted, Idempotency_Key="k")
    account.daily_quota = 10
    account.save()

    assert refused.status_code == 429
    assert program.call("POST", "messages", wanted, Idempotency_Key="k").status_code == 202


def test_what_broke_left_nothing_and_may_be_asked_again(program, wanted, monkeypatch):
    """The error comes after the rows are written and the answer is kept: both go."""
    complete = idempotency.complete

    def break_down(*args):
        complete(*args)
        raise ZeroDivisionError

    monkeypatch.setattr(idempotency, "complete", break_down)
    assert program.call("POST", "messages", wanted, Idempotency_Key="k").status_code == 500
    assert not Message.objects.exists()
    monkeypatch.undo()

    assert program.call("POST", "messages", wanted, Idempotency_Key="k").status_code == 202
    assert Message.objects.count() == 1


def test_a_dead_workers_call_is_taken_over(account):
    now = timezone.now()
    dead = idempotency.claim(account, "k", "asked", now=now)
    with pytest.raises(idempotency.CallInFlight):
        idempotency.claim(account, "k", "asked", now=now + timedelta(seconds=1))

    later = now + idempotency.CLAIM_LASTS + timedelta(seconds=1)
    with pytest.raises(idempotency.KeyReused):
        idempotency.claim(account, "k", "asked differently", now=later)
    heir = idempotency.claim(account, "k", "asked", now=later)

    with pytest.raises(idempotency.ClaimLost):
        idempotency.complete(dead, idempotency.Answer(200, {}))
    idempotency.complete(heir, idempotency.Answer(200, {"done": True}))
    assert idempotency.claim(account, "k", "asked", now=later) == idempotency.Answer(200, {"done": True})


def test_after_a_day_a_key_is_forgotten(account):
    now = timezone.now()
    done = idempotency.claim(account, "k", "asked", now=now)
    idempotency.complete(done, idempotency.Answer(200, {}))
    later = now + idempotency.KEPT + timedelta(seconds=1)

    again = idempotency.claim(account, "k", "other", now=later)

    assert isinstance(again, idempotency.Claim)
    assert purging.forget_calls(now=later) == 0
    assert purging.forget_calls(now=later + timedelta(days=2)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_is_done(account):
    sender = SenderFactory(account=account, domain__account=account)
    body = {
        "sender": sender.address,
        "recipients": [{"address": "anna@readers.example.org"}],
        "subject": "Hello",
        "text": "Hello",
    }
    program, start = Program(account, role=Role.OWNER), Barrier(6)

    def call(_number):
        start.wait()
        answer = program.call("POST", "messages", body, Idempotency_Key="k")
        connection.close()
        return answer.status_code, answer.json().get("code", "")

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(call, range(6)))

    assert Message.objects.count() == 1
    assert set(answers) <= {(202, ""), (409, "idempotency_call_in_flight")}
    assert (202, "") in answers


def test_answers_are_not_stored_by_proxies(program):
    assert program.call("GET", "messages")["Cache-Control"] == "no-store"

"""The whole REST API: its description, its tenants, its lists."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from accounts.models import AuditEntry
from domains.services.domains import add_key
from mailpush.mail import dkim
from recipients.models import Import
from sending.models import Status
from tests.factories import (
    BatchFactory,
    DomainFactory,
    MessageFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    SuppressionFactory,
    TagFactory,
    TemplateFactory,
    WebhookCallFactory,
    WebhookFactory,
)

READER = "anna@readers.example.org"
METHODS = ("get", "post", "put", "patch", "delete")


def described() -> dict[str, Any]:
    return SchemaGenerator().get_schema(public=True)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: method, path below `/api/v1/`, description."""
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield method.upper(), path.removeprefix("/api/v1/"), operation


OPERATIONS = list(operations())
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]


# The description


def test_the_description_is_openapi_3_1():
    schema = described()

    assert schema["openapi"].startswith("3.1")
    validate_schema(schema)
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_is_told_with_an_example(method, path, operation):
    assert operation["summary"]
    assert {"401", "403", "429", "500"} <= operation["responses"].keys()
    assert operation["security"] == [{"accessKey": []}]
    bodies = [*_contents(operation.get("requestBody"))]
    for code, answer in operation["responses"].items():
        if code.startswith("2"):
            bodies += _contents(answer)
    for kind, body in bodies:
        if kind == "application/json":
            assert body.get("examples"), f"no example of {kind}"


def _contents(holder: dict[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((holder or {}).get("content") or {}).items()


def test_examples_are_what_they_are_examples_of():
    """Each example is valid by the schema that stands beside it."""
    from jsonschema import Draft202012Validator

    schema = described()
    looked_at = 0
    for name, operation in ((f"{method} {path}", operation) for method, path, operation in OPERATIONS):
        holders = [operation.get("requestBody"), *operation["responses"].values()]
        for _kind, body in (content for holder in holders for content in _contents(holder)):
            validator = Draft202012Validator({**body["schema"], "components": schema["components"]})
            for example in body.get("examples", {}).values():
                assert [error.message for error in validator.iter_errors(example["value"])] == [], name
                looked_at += 1
    assert looked_at > 100


def test_programs_read_it_without_a_key(client):
    answer = client.get("/api/v1/schema/")

    assert answer.status_code == 200
    assert json.loads(answer.content)["info"]["title"] == "mailpush"


# Tenants


@cache
def private_key():
    return dkim.generate_key()


@pytest.fixture
def things(account) -> dict[str, Any]:
    """One of everything that has an id, by the first part of its path."""
    domain = DomainFactory(account=account)
    add_key(domain, private_key(), now=domain.verified_at)
    sender = SenderFactory(account=account, domain=domain)
    readers = RecipientListFactory(account=account, count=1)
    job = Import(list=readers, filename="a.csv", size=1, created_by="test", status=Import.Status.DONE)
    job.rejects.save("rejects.csv", ContentFile(b"line,text,reason\n"), save=False)
    job.save()
    return {
        "domains": domain,
        "senders": sender,
        "tags": TagFactory(account=account),
        "lists": readers,
        "recipients": RecipientFactory(list=readers),
        "imports": job,
        "templates": TemplateFactory(account=account, approve=True),
        "suppressions": SuppressionFactory(account=account),
        "messages": MessageFactory(content__sender=sender, status=Status.DELIVERED),
        "batches": BatchFactory(content__sender=sender, list=readers),
        "webhooks": (webhook := WebhookFactory(account=account)),
        "calls": WebhookCallFactory(webhook=webhook),
    }


def filled(path: str, things: dict[str, Any]) -> str:
    """Put ids into a path."""
    noun = path.partition("/")[0]
    for name, inner in (("{recipient_pk}", "recipients"), ("{call_pk}", "calls"), ("{id}", noun)):
        path = path.replace(name, str(things[inner].pk))
    return path


WITH_ID = [(method, path, operation) for method, path, operation in OPERATIONS if "{" in path]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "operation"), WITH_ID, ids=[f"{method} {path}" for method, path, _ in WITH_ID]
)
def test_another_accounts_ids_are_not_found(strange_program, things, method, path, operation):
    body = _example(operation)

    answer = strange_program.call(method, filled(path, things) + _query(operation), body)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [each for each in WITH_ID if each[0] == "GET"],
    ids=[path for method, path, _ in WITH_ID if method == "GET"],
)
def test_ones_own_ids_are_found(program, things, method, path, operation):
    answer = program.call(method, filled(path, things))

    assert answer.status_code == 200
    answer.close()  # it may be a file


LISTS = [
    path
    for method, path, _ in OPERATIONS
    if method == "GET" and "{" not in path and path not in ("account", "statistics", "schema/")
]


@pytest.mark.django_db
@pytest.mark.parametrize("path", LISTS)
def test_lists_show_ones_own_alone(program, strange_program, things, path):
    own = [entry["id"] for entry in program.call("GET", path).json()["data"]]

    assert own == [str(things[path].pk)]
    assert strange_program.call("GET", path).json()["data"] == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("senders", {"domain": "domains", "account_part": "a", "stream": "batch"}),
        ("batches", {"list": "lists", "template": "own", "sender": "own"}),
        ("batches", {"list": "own", "template": "templates", "sender": "own"}),
        ("batches", {"list": "own", "template": "own", "sender": "senders"}),
        (
            "messages",
            {"sender": "senders", "recipients": [{"address": "a@b.example.org"}], "subject": "s", "text": "t"},
        ),
        ("messages", {"sender": "own", "recipients": [{"address": "a@b.example.org"}], "template": "templates"}),
    ],
)
def test_another_accounts_things_cannot_be_named(strange_program, things, path, body):
    stranger = strange_program.key.account
    own = {
        "list": str(RecipientListFactory(account=stranger, count=1).pk),
        "template": str(TemplateFactory(account=stranger, approve=True).pk),
        "sender": SenderFactory(account=stranger, domain__account=stranger).address,
    }
    (foreign,) = [name for name, value in body.items() if isinstance(value, str) and value in things]
    body = {name: own[name] if value == "own" else value for name, value in body.items()}
    body[foreign] = things[body[foreign]].address if foreign == "sender" else str(things[body[foreign]].pk)

    answer = strange_program.call("POST", path, body)

    assert (answer.status_code, answer.json()["field"]) == (422, foreign)
    assert not AuditEntry.objects.exists()


def _example(operation: dict[str, Any]) -> Any:
    for kind, body in _contents(operation.get("requestBody")):
        if kind == "application/json":
            return next(iter(body["examples"].values()))["value"]
    return None


def _query(operation: dict[str, Any]) -> str:
    required = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query" and one.get("required")]
    return "?" + "&".join(f"{name}=x" for name in required) if required else ""


# Lists


MAKERS = {
    "domains": lambda account: DomainFactory(account=account),
    "senders": lambda account: SenderFactory(account=account, domain__account=account),
    "tags": lambda account: TagFactory(account=account),
    "lists": lambda account: RecipientListFactory(account=account),
    "templates": lambda account: TemplateFactory(account=account),
    "suppressions": lambda account: SuppressionFactory(account=account),
    "webhooks": lambda account: WebhookFactory(account=account),
    "messages": lambda account: MessageFactory(
        content__sender=_sender(account), content__tag=TagFactory(account=account)
    ),
    "batches": lambda account: BatchFactory(content__sender=_sender(account), tag=TagFactory(account=account)),
}


def _sender(account):
    return SenderFactory(account=account, domain__account=account)


@pytest.mark.django_db
@pytest.mark.parametrize("path", LISTS)
def test_a_list_costs_the_same_however_long(program, account, path):
    MAKERS[path](account)
    program.call("GET", path)
    with CaptureQueriesContext(connection) as one:
        program.call("GET", path)
    for _ in range(2):
        MAKERS[path](account)

    with CaptureQueriesContext(connection) as three:
        answer = program.call("GET", path)

    assert len(answer.json()["data"]) == 3
    assert len(three) == len(one) <= 3

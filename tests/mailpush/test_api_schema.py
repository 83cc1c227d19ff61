"""The REST API keeps to its description, whatever it is asked: a bounded run of schemathesis."""

from contextlib import closing
from functools import cache

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import ignored_auth

from accounts.models import Role
from tests.conftest import Program
from tests.domains.conftest import world  # noqa: F401 - a fixture
from tests.mailpush.test_api import described, things  # noqa: F401 - a fixture

schema = schemathesis.openapi.from_dict(described())
schema.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
# What is well-formed may still name a sender that is not there: that is 422, as is what is not well-formed.
schema.config.checks.positive_data_acceptance.expected_statuses = [
    *("2xx", "401", "403", "404", "409", "413", "422", "429"),
]


@cache
def application():
    """Return the program, made when tests run: it looks at folders that exist only then."""
    program = get_wsgi_application()

    def read(environ, start_response):
        with closing(program(environ, start_response)) as answer:  # it may be a file
            return [b"".join(answer)]

    return read


@pytest.fixture(autouse=True)
def _one_connection():
    """Requests are part of the test's transaction, as those of Django's test client are."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.timeout(120)
@schema.parametrize()
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_description(case, account, things, world, request):  # noqa: F811 - world answers DNS
    program = request.node.stash.setdefault(PROGRAM, None) or Program(account, role=Role.OWNER)
    request.node.stash[PROGRAM] = program
    token = program.defaults["HTTP_AUTHORIZATION"]
    if case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        _name_what_is_there(case, things)
    response = case.call(base_url="http://localhost/", app=application(), headers={"Authorization": token})
    case.validate_response(response, excluded_checks=[ignored_auth])


def _name_what_is_there(case, things):  # noqa: F811
    """Put ids of things that exist where ids stand: made up ones are never found."""
    noun = case.operation.path.removeprefix("/api/v1/").partition("/")[0]
    real = {"id": noun, "recipient_pk": "recipients", "call_pk": "calls"}
    case.path_parameters = {name: str(things[real[name]].pk) for name in case.path_parameters or {}}
    if case.operation.definition.raw["operationId"] == "messages_send" and isinstance(case.body, dict):
        body = {name: case.body[name] for name in ("subject", "html", "text") if name in case.body}
        case.body = {"subject": "s", "text": "t", **body, "sender": things["senders"].address, "recipients": TO}


TO = [{"address": "anna@readers.example.org"}]
PROGRAM = pytest.StashKey()

import pytest
from django.core import mail

from templates_app.services import templates
from templates_app.services.templates import Draft
from tests.factories import UserFactory

DRAFT = Draft(name="新闻-1", subject="Hello {UserName}", sender_name="Example", html="<p>Dear {UserName}</p>")


@pytest.fixture(autouse=True)
def outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []
    return mail.outbox


@pytest.fixture
def draft():
    return DRAFT


@pytest.fixture
def template(actor, now):
    return templates.create(DRAFT, by=actor, now=now)


@pytest.fixture
def pending(template, actor, now):
    templates.submit(template, by=actor, now=now)
    return template


@pytest.fixture
def reviewer(db):
    return UserFactory(is_staff=True)

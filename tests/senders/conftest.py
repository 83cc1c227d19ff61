import pytest


@pytest.fixture(autouse=True)
def _mails_stay_here(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def links():
    """Return the links that were mailed, oldest first."""
    from django.core import mail

    def links():
        return [line for message in mail.outbox for line in message.body.splitlines() if line.startswith("http")]

    return links

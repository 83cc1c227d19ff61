"""Calls of the DirectMail-compatible API, signed by V1 as its older SDKs do."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.test import Client

from mailpush.rpc import authentication, limits, signatures
from mailpush.rpc.actions import sending
from tests.factories import AccessKeyFactory

SECRET = "secret-of-the-key"


class Api:
    """An access key with its secret."""

    def __init__(self, key):
        self.key = key
        self.account = key.account
        self.client = Client(enforce_csrf_checks=True)

    def __call__(self, action, **params):
        """Return what a call is answered with."""
        response = self.send(action, **params)
        assert response.status_code == 200, response.content.decode()
        return response.json()

    def refusal(self, action, **params):
        """Return the code a call is refused with."""
        response = self.send(action, **params)
        assert response.status_code >= 400, response.content.decode()
        assert set(response.json()) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
        return response.json()["Code"]

    def send(self, action, method="POST", **params):
        query = self.signed(action, method=method, **params)
        return getattr(self.client, method.lower())(f"/?{signatures.canonical_query(query.items())}")

    def signed(self, action, *, method="POST", secret=SECRET, **params):
        """Return the parameters of a call, its signature among them; `None` leaves one out."""
        query = {
            "Action": action,
            "Version": "2015-11-23",
            "Format": "JSON",
            "AccessKeyId": self.key.key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": str(uuid4()),
            "Timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            **params,
        }
        query = {name: str(value) for name, value in query.items() if value is not None}
        text = signatures.v1_string_to_sign(method, query.items())
        return {**query, "Signature": signatures.v1_signature(text, secret)}


@pytest.fixture(autouse=True)
def _nothing_counted(servers):
    """Limits and calls of one test are not another's."""
    yield
    valkey = redis.Redis.from_url(settings.MAILPUSH_REDIS_URL)
    for key in valkey.scan_iter("mailpush:rpc:*"):
        valkey.delete(key)
    limits._own_limits.cache_clear()
    authentication.known_keys.forget()
    sending.known_senders.forget()


@pytest.fixture
def api(account):
    """The owner's key of `account`."""
    return Api(AccessKeyFactory(account=account, role="owner"))


@pytest.fixture
def foreign_api(stranger):
    """The owner's key of another account."""
    return Api(AccessKeyFactory(account=stranger.account, role="owner"))

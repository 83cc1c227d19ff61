import pytest
from django.test import RequestFactory

from mailpush.lib.visitors import is_local_visitor


@pytest.mark.parametrize(
    ("host", "peer", "is_local"),
    [
        ("localhost:8000", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("[::1]:8000", "::1", True),
        ("[::1]", "::1", True),
        ("mail.example.com", "127.0.0.1", False),
        ("localhost", "192.0.2.1", False),
    ],
)
def test_local_is_a_loopback_peer_that_asked_for_a_loopback_name(settings, host, peer, is_local):
    settings.ALLOWED_HOSTS = ["*"]

    assert is_local_visitor(RequestFactory().get("/", REMOTE_ADDR=peer, headers={"host": host})) is is_local


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_who_comes_through_a_proxy_is_not_local(header):
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", headers={"host": "localhost", header: "192.0.2.1"})

    assert not is_local_visitor(request)

"""What may stand in the environment."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from mailpush.environment import Bind, Environment


def test_doors_say_how_they_open():
    environment = Environment({"DOORS": "127.0.0.1:2587, [::1]:465/tls,0.0.0.0:80/open"})

    assert environment.binds("DOORS", "") == [
        Bind("127.0.0.1", 2587),
        Bind("::1", 465, implicit_tls=True),
        Bind("0.0.0.0", 80, open_login=True),
    ]


@pytest.mark.parametrize("value", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:25/", "127.0.0.1:25/ssl", "mail.test:25"])
def test_door_that_cannot_be_is_refused_by_name(value):
    with pytest.raises(ImproperlyConfigured, match="DOORS is "):
        Environment({"DOORS": value}).binds("DOORS", "")

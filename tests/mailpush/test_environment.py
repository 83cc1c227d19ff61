"""What may stand in the environment."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
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


def manage(*arguments, **environment):
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAILPUSH_")}
    return subprocess.run(command, check=False, env=bare | environment, capture_output=True, text=True, timeout=60)


def test_links_lead_to_where_the_pages_are(tmp_path):
    done = manage("diffsettings", MAILPUSH_DATA_DIR=str(tmp_path / "data"), MAILPUSH_WEB_BIND="127.0.0.1:8123")

    assert "MAILPUSH_PUBLIC_URL = 'http://localhost:8123'" in done.stdout


def test_a_data_folder_that_cannot_be_stops_every_command(tmp_path):
    (tmp_path / "file").touch()

    done = manage("up", MAILPUSH_DATA_DIR=str(tmp_path / "file"))

    assert done.returncode != 0
    assert done.stderr.startswith("The data folder ")
    assert "Traceback" not in done.stderr

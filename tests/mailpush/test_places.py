"""The data folder, as whoever starts first finds it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from mailpush.keys import kept_secret_key
from mailpush.places import Places
from mailpush.sandbox.ports import kept_ports


@pytest.mark.parametrize(("read", "name"), [(kept_ports, "sandbox.json"), (kept_secret_key, "keys/secret_key")])
def test_a_new_data_folder_is_its_users_alone(tmp_path, read, name):
    places = Places(tmp_path / "data")

    kept = places.kept(read, places.data / name)

    assert places.kept(read, places.data / name) == kept
    assert places.data.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    places = Places(tmp_path / "file")

    with pytest.raises(ImproperlyConfigured, match=r"^The data folder .*/file cannot be used: .*MAILPUSH_DATA_DIR"):
        places.kept(kept_secret_key, places.secret_key)

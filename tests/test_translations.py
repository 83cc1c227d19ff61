"""The Chinese catalogue: nothing missing, nothing left over, and what is filled in stands in both languages."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import allauth
import django
import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.core.management import call_command

from mailpush.lib.borrowed_words import WORDS

CATALOG = Path("zh_Hans", "LC_MESSAGES", "django.po")
OURS = settings.BASE_DIR / "mailpush" / "locale" / CATALOG
THEIRS = (
    Path(allauth.__file__).parent / "locale" / CATALOG,
    Path(django.__file__).parent / "contrib" / "auth" / "locale" / CATALOG,
    # Not all that its index says is in the Chinese one, which is why we say it.
    Path(django.__file__).parent / "contrib" / "admin" / "locale" / "en" / "LC_MESSAGES" / "django.po",
)

# %(name)s of gettext, {UserName} of templates, and elements of HTML.
FILLED_IN = re.compile(r"%\(\w+\)[sd]|%d|\{\w+\}|</?[a-z][^>]*>")
WITHOUT_GETTEXT = "The gettext programs are not installed (Debian: apt install gettext)."


def entries(path):
    with path.open("rb") as source:
        return [message for message in read_po(source, locale="zh_Hans", abort_invalid=True) if message.id]


def name(message):
    """Return what gettext looks a message up by."""
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def forms(message):
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_every_entry_is_translated():
    missing = [message.id for message in entries(OURS) if not all(forms(message))]

    assert missing == []


def test_no_entry_is_fuzzy():
    fuzzy = [message.id for message in entries(OURS) if message.fuzzy]

    assert fuzzy == []


def test_what_is_filled_in_is_the_same_in_both_languages():
    different = {}
    for message in entries(OURS):
        # Chinese has one form for all numbers: the one of many.
        wanted = message.id if isinstance(message.id, str) else message.id[1]
        for form in forms(message):
            if Counter(FILLED_IN.findall(form)) != Counter(FILLED_IN.findall(wanted)):
                different[wanted] = form

    assert different == {}


def test_borrowed_words_are_still_in_use_there():
    theirs = {name(message)[1] for catalog in THEIRS for message in entries(catalog)}

    assert set(WORDS) - theirs == set()


def test_catalogue_has_what_the_sources_say(tmp_path, monkeypatch, settings):
    if not all(shutil.which(program) for program in ("xgettext", "msguniq", "msgmerge", "msgattrib")):
        assert os.environ.get("CI") != "true", WITHOUT_GETTEXT
        pytest.skip(WITHOUT_GETTEXT)
    for source in settings.BASE_DIR.iterdir():
        if (source / "__init__.py").exists() and source.name != "tests":
            shutil.copytree(
                source, tmp_path / source.name, ignore=shutil.ignore_patterns("node_modules", "__pycache__", "*.mo")
            )
    settings.LOCALE_PATHS = [tmp_path / "mailpush" / "locale"]
    monkeypatch.chdir(tmp_path)

    call_command("makemessages", locale=["zh_Hans"], no_obsolete=True, verbosity=0)

    said = {name(message) for message in entries(settings.LOCALE_PATHS[0] / CATALOG)}
    translated = {name(message) for message in entries(OURS)}
    assert {"missing": said - translated, "left over": translated - said} == {"missing": set(), "left over": set()}

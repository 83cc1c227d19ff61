"""The admin in Chinese: what it calls tables, columns and filters."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.utils import translation
from django.utils.text import capfirst

OURS = ("accounts", "domains", "senders", "recipients", "templates_app", "sending", "stats", "rpc")
AS_IN_ENGLISH = {"ID", "AccessKey ID"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def shown(desk):
    """Return the names of all columns that an admin page has, in its lists, forms and inlines."""
    fields = {name for name in getattr(desk, "list_display", []) if isinstance(name, str)}
    fields |= {name for name in desk.readonly_fields if isinstance(name, str)}
    left_out = set(desk.exclude or [])
    fields |= {field.name for field in desk.model._meta.fields if not desk.fields and field.name not in left_out}
    return fields | {name for name in desk.fields or [] if isinstance(name, str)}


def desks():
    for model, desk in admin.site._registry.items():
        if model._meta.app_label in OURS:
            yield desk
            yield from (inline(model, admin.site) for inline in desk.inlines)


@pytest.fixture(autouse=True)
def _chinese():
    with translation.override("zh-hans"):
        yield


def test_every_column_has_a_chinese_name():
    names = {(desk, name): str(label_for_field(name, desk.model, desk)) for desk in desks() for name in shown(desk)}

    english = {name for name in names.values() if not CHINESE.search(name)}
    assert english - AS_IN_ENGLISH == set()


def test_every_table_and_app_has_a_chinese_name():
    options = [desk.model._meta for desk in desks()]
    names = {str(name) for each in options for name in (each.verbose_name, each.verbose_name_plural)}
    names |= {str(apps.get_app_config(each.app_label).verbose_name) for each in options}

    assert sorted(name for name in names if not CHINESE.search(name)) == []


def test_a_count_of_lines_is_not_the_time_of_adding():
    imports, recipients = apps.get_model("recipients.Import"), apps.get_model("recipients.Recipient")

    assert imports._meta.get_field("added").verbose_name == "新增"
    assert recipients._meta.get_field("created_at").verbose_name == "添加时间"


# What no English word is, in capitals as it is said.
LETTERS = re.compile(
    r"\b(api|arf|csv|dkim|dmarc|dns|dsn|html|http|id|ip|json|mime|mx|smtp|spf|tls|url)s?\b", re.IGNORECASE
)


def test_letters_that_are_said_one_by_one_are_capitals():
    with translation.override("en"):
        names = {capfirst(str(label_for_field(name, desk.model, desk))) for desk in desks() for name in shown(desk)}
        options = [desk.model._meta for desk in desks()]
        names |= {capfirst(str(name)) for each in options for name in (each.verbose_name, each.verbose_name_plural)}

    assert "DKIM keys" in names
    assert {name for name in names for word in LETTERS.findall(name) if not word.isupper()} == set()

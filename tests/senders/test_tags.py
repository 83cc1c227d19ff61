import pytest

from accounts.models import AuditEntry
from senders.models import Tag
from senders.services import tags
from tests.factories import TagFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["a", "spring-sale_2026", "春季促销", "Größe", "हिन्दी", "x" * 128])
def test_create(actor, now, name):
    tag = tags.create(f" {name} ", by=actor, now=now)

    assert (tag.account, tag.name, tag.created_at) == (actor.account, name, now)
    assert AuditEntry.objects.get().action == "tag.created"


@pytest.mark.parametrize("name", ["", " ", "a b", "a.b", "x" * 129, "a/b", "<b>", "a\nb", "😀"])
def test_malformed_name_is_refused(actor, now, name):
    with pytest.raises(tags.BadTagName):
        tags.create(name, by=actor, now=now)


def test_name_exists_once_in_an_account_whatever_its_case(actor, now):
    TagFactory(name="sale")  # a stranger's
    tag = tags.create("Sale", by=actor, now=now)
    with pytest.raises(tags.TagExists):
        tags.create("sale", by=actor, now=now)

    tags.delete(tag, by=actor, now=now)

    assert tags.create("sale", by=actor, now=now).pk != tag.pk


def test_rename(actor, now):
    tag = TagFactory(account=actor.account, name="old")
    TagFactory(account=actor.account, name="other")

    tags.rename(tag, "new", by=actor)
    with pytest.raises(tags.TagExists):
        tags.rename(tag, "OTHER", by=actor)

    assert Tag.objects.get(pk=tag.pk).name == "new"


def test_deleted_tag_stays_readable(actor, now):
    tag = TagFactory(account=actor.account)

    tags.delete(tag, by=actor, now=now)

    assert not Tag.objects.for_account(actor.account).exists()
    assert Tag.objects.get().deleted_at == now

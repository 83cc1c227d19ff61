import re
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Role
from senders.forms import DETAILS, VERDICTS
from senders.models import ConfigSet, SourcePool
from senders.services import config_sets
from senders.services.config_sets import Settings
from sending import checks
from tests.factories import SenderFactory

pytestmark = pytest.mark.django_db


def url(name, *args):
    return reverse(f"senders:{name}", args=args)


def told(answer):
    return [str(message) for message in answer.context["messages"]]


@pytest.fixture
def made(actor, now):
    return config_sets.create(Settings("strict", "for codes"), by=actor, now=now)


@pytest.fixture
def theirs(stranger, now):
    return config_sets.create(Settings("foreign"), by=stranger, now=now)


def test_empty_page_says_what_sets_are_for(owner_client):
    assert "No configuration sets yet" in owner_client.get(url("config-sets")).text


@pytest.mark.parametrize("count", [1, 3])
def test_list_shows_own_sets(owner_client, actor, theirs, now, count, django_assert_max_num_queries):
    for number in range(count):
        each = config_sets.create(Settings(f"set {number}"), by=actor, now=now)
        SenderFactory(account=actor.account, config_set=each)

    with django_assert_max_num_queries(9):
        text = owner_client.get(url("config-sets")).text

    assert "set 0" in text
    assert theirs.name not in text


def test_a_set_is_made(owner_client, account, stranger):
    pool = SourcePool.objects.create(account=account, name="ours")
    SourcePool.objects.create(account=stranger.account, name="foreign pool")
    form = owner_client.get(url("config-set-create"))
    wanted = {
        "name": "strict",
        "description": "for codes",
        "pool": pool.pk,
        "is_validating": "on",
        "refused_statuses": ["INVALID"],
        "refused_sub_statuses": ["DISPOSABLE", "ROLE_BASED"],
    }

    answer = owner_client.post(url("config-set-create"), wanted, follow=True)

    chosen = ConfigSet.objects.get()
    assert answer.redirect_chain == [(url("config-set", chosen.pk), 302)]
    assert "foreign pool" not in form.text
    assert (chosen.name, chosen.description, chosen.pool, chosen.is_validating) == ("strict", "for codes", pool, True)
    assert (chosen.refused_statuses, chosen.refused_sub_statuses) == (["INVALID"], ["DISPOSABLE", "ROLE_BASED"])
    assert AuditEntry.objects.filter(action="config_set.created").exists()


def test_what_a_program_has_put_in_stays(owner_client, made, actor):
    wanted = Settings("strict", is_backing_off=True, refused_statuses=["CATCH_ALL"], refused_sub_statuses=["TOXIC"])
    config_sets.change(made, wanted, by=actor)
    form = owner_client.get(url("config-set", made.pk))
    assert all(f'value="{word}"' in form.text for word in ("CATCH_ALL", "TOXIC"))
    again = {"name": "other", "refused_statuses": ["CATCH_ALL"], "refused_sub_statuses": ["TOXIC"]}

    answer = owner_client.post(url("config-set", made.pk), again, follow=True)

    made.refresh_from_db()
    assert told(answer) == ["The configuration set is changed."]
    assert (made.name, made.is_backing_off, made.refused_statuses) == ("other", True, ["CATCH_ALL"])
    assert made.refused_sub_statuses == ["TOXIC"]


def test_a_name_that_is_taken_is_refused_at_the_field(owner_client, made, actor, now):
    config_sets.create(Settings("other"), by=actor, now=now)

    answer = owner_client.post(url("config-set", made.pk), {"name": "OTHER"})

    assert "already" in answer.context["form"].errors["name"][0]
    assert ">strict</h1>" in answer.text


def test_sender_addresses_come_into_a_set_and_out_of_it(owner_client, account, made):
    sender = SenderFactory(account=account, address="codes@example.com")
    assert 'value="codes@example.com"' in owner_client.get(url("config-set", made.pk)).text

    owner_client.post(url("config-set-sender-add", made.pk), {"address": " Codes@example.com"})
    sender.refresh_from_db()
    assert sender.config_set == made
    assert url("config-set", made.pk) in owner_client.get(url("detail", sender.pk)).text

    owner_client.post(url("config-set-sender-take-out", made.pk, sender.pk))
    sender.refresh_from_db()
    assert sender.config_set is None


def test_no_other_address_comes_into_a_set(owner_client, account, made, actor, now):
    other = config_sets.create(Settings("other"), by=actor, now=now)
    SenderFactory(account=account, address="codes@example.com", config_set=other)
    foreign = SenderFactory()

    for address in ("codes@example.com", foreign.address, "nobody@example.com", ""):
        answer = owner_client.post(url("config-set-sender-add", made.pk), {"address": address})
        assert answer.context["sender_form"].errors

    assert not made.senders.exists()


def test_a_set_is_deleted_and_its_senders_stay(owner_client, account, made):
    sender = SenderFactory(account=account, config_set=made)
    page = owner_client.get(url("config-set", made.pk)).text

    answer = owner_client.post(url("config-set-delete", made.pk), follow=True)

    sender.refresh_from_db()
    assert 'data-confirm="Delete strict? 1 sender address belongs to it, and to none then."' in page
    assert told(answer) == ["The configuration set “strict” is deleted."]
    assert (sender.config_set, ConfigSet.objects.count()) == (None, 0)


def test_viewers_look_only(member, client_of, made):
    client = client_of(member(Role.VIEWER))

    assert client.get(url("config-set", made.pk)).status_code == 200
    assert client.get(url("config-set-create")).status_code == 403
    for name in ("config-set-delete", "config-set-sender-add"):
        assert client.post(url(name, made.pk)).status_code == 403
    assert "does not allow this" in client.post(url("config-set", made.pk), {"name": "mine"}).text
    assert ConfigSet.objects.get().name == "strict"


def test_sets_of_strangers_are_not_found(owner_client, theirs, account):
    sender = SenderFactory(account=account)

    assert owner_client.get(url("config-set", theirs.pk)).status_code == 404
    for address in (
        url("config-set", theirs.pk),
        url("config-set-delete", theirs.pk),
        url("config-set-sender-add", theirs.pk),
        url("config-set-sender-take-out", theirs.pk, sender.pk),
    ):
        assert owner_client.post(address, {"name": "x", "address": sender.address}).status_code == 404


def test_the_words_are_those_of_the_examination():
    source = Path(checks.__file__).read_text()

    assert set(VERDICTS) == {verdict.value for verdict in checks.Verdict} - {"VALID"}
    assert set(DETAILS) <= set(re.findall(r'"([A-Z_]+)"', source))

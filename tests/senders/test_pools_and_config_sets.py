import pytest

from senders.models import ConfigSet, Sender, SourcePool
from senders.services import config_sets, pools
from senders.services.config_sets import Settings
from tests.factories import SenderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def dedicated(account, settings):
    settings.MAILPUSH_SOURCE_IPS = {f"account-{account.pk}": ["192.0.2.1", "192.0.2.2"], "batch": ["192.0.2.3"]}
    return ["192.0.2.1", "192.0.2.2"]


def test_an_account_has_the_addresses_that_the_operator_dedicates(account, stranger, dedicated):
    assert pools.dedicated(account) == dedicated
    assert pools.dedicated(stranger.account) == []


def test_an_address_is_in_one_pool_at_most(actor, dedicated, now):
    first = pools.create(name="first", ips=["192.0.2.1"], by=actor, now=now)
    assert pools.unpooled(actor.account) == ["192.0.2.2"]

    with pytest.raises(pools.AddressNotDedicated):
        pools.create(name="second", ips=["192.0.2.1"], by=actor, now=now)
    pools.change(first, ips=["192.0.2.2", "192.0.2.1"], by=actor)
    assert pools.unpooled(actor.account) == []
    pools.delete(first, by=actor)
    assert pools.unpooled(actor.account) == dedicated


@pytest.mark.parametrize("ip", ["192.0.2.3", "198.51.100.1", "x"])
def test_addresses_of_others_are_refused(actor, dedicated, now, ip):
    with pytest.raises(pools.AddressNotDedicated):
        pools.create(name="pool", ips=[ip], by=actor, now=now)


def test_names_of_pools(actor, now):
    with pytest.raises(pools.BadPoolName):
        pools.create(name="a b", ips=[], by=actor, now=now)
    pools.create(name="pool", ips=[], by=actor, now=now)
    with pytest.raises(pools.PoolExists):
        pools.create(name="POOL", ips=[], by=actor, now=now)


def test_a_pool_that_is_used_stays(actor, now):
    pool = pools.create(name="pool", ips=[], by=actor, now=now)
    config_sets.create(Settings("set", pool=pool), by=actor, now=now)

    with pytest.raises(pools.PoolInUse):
        pools.delete(pool, by=actor)
    assert SourcePool.objects.exists()


@pytest.fixture
def make(actor, now):
    return lambda name="set", **more: config_sets.create(Settings(name, **more), by=actor, now=now)


def test_what_a_set_says_can_be_changed(make, actor):
    made = make(refused_statuses=["INVALID"])

    config_sets.change(made, Settings("other", "d", is_validating=True), by=actor)

    made.refresh_from_db()
    assert (made.name, made.description, made.is_validating, made.refused_statuses) == ("other", "d", True, [])


def test_names_of_sets(make, monkeypatch):
    for bad in ("", "x" * 51, "a\nb"):
        with pytest.raises(config_sets.BadConfigSet):
            make(bad)
    make("set")
    with pytest.raises(config_sets.ConfigSetExists):
        make("SET")
    monkeypatch.setattr(config_sets, "SETS_AN_ACCOUNT", 1)
    with pytest.raises(config_sets.TooManyConfigSets):
        make("more")


def test_a_sender_belongs_to_one_set(make, actor):
    first, second = make("first"), make("second")
    sender = SenderFactory(account=actor.account)

    config_sets.relate(first, sender, by=actor)
    config_sets.relate(first, sender, by=actor)
    with pytest.raises(config_sets.OtherConfigSet):
        config_sets.relate(second, sender, by=actor)
    with pytest.raises(config_sets.OtherConfigSet):
        config_sets.unrelate(second, sender, by=actor)
    with pytest.raises(config_sets.ConfigSetInUse):
        config_sets.delete([first], is_forced=False, by=actor)

    config_sets.delete([first, second], is_forced=True, by=actor)
    assert not ConfigSet.objects.exists()
    assert Sender.objects.get(pk=sender.pk).config_set is None


def test_senders_of_strangers_are_not_touched(make, actor):
    sender = SenderFactory()

    with pytest.raises(config_sets.OtherConfigSet):
        config_sets.relate(make(), sender, by=actor)

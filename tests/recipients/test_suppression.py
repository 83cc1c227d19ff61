import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from mailpush.mail.addresses import BadAddress
from recipients import suppression
from recipients.models import Suppression
from recipients.services import suppressions

pytestmark = pytest.mark.django_db

BOUNCED = Suppression.Reason.BOUNCED
DOMAIN, SENDER = Suppression.Scope.DOMAIN, Suppression.Scope.SENDER


def test_suppressing_twice_keeps_the_first_reason(account, now):
    assert suppression.suppress("Gone@X.com", account=account, reason=BOUNCED, evidence="5.1.1 unknown", now=now)
    assert not suppression.suppress(
        "gone@x.com", account=account, reason=Suppression.Reason.COMPLAINED, source="fbl", now=now
    )

    row = Suppression.objects.get()
    assert (row.address, row.reason, row.evidence) == ("gone@x.com", BOUNCED, "5.1.1 unknown")


def test_what_is_no_address_is_not_suppressed(account, now):
    with pytest.raises(BadAddress):
        suppression.suppress("nobody", account=account, reason=BOUNCED, now=now)


def test_suppression_binds_its_account_alone_and_the_platforms_binds_all(account, stranger, now):
    suppression.suppress("own@x.com", account=account, reason=BOUNCED, now=now)
    suppression.suppress("all@x.com", account=None, reason=BOUNCED, now=now)
    asked = ["own@x.com", "all@x.com", "free@x.com"]

    assert suppression.suppressed_addresses(account.pk, asked) == {"own@x.com", "all@x.com"}
    assert suppression.suppressed_addresses(stranger.account.pk, asked) == {"all@x.com"}
    assert suppression.is_suppressed("OWN@x.com", account_id=account.pk)
    assert not suppression.is_suppressed("own@x.com", account_id=stranger.account.pk)


def test_scopes_reach_as_far_as_they_say(account, now):
    for scope, value in ((DOMAIN, "News.example"), (SENDER, "shop@Example.com")):
        suppression.suppress(
            f"{scope}@x.com",
            account=account,
            reason=Suppression.Reason.UNSUBSCRIBED,
            scope=scope,
            scope_value=value,
            now=now,
        )
    asked = ["domain@x.com", "sender@x.com"]

    assert suppression.suppressed_addresses(account.pk, asked) == set()
    assert suppression.suppressed_addresses(account.pk, asked, domain="NEWS.example") == {"domain@x.com"}
    assert suppression.suppressed_addresses(account.pk, asked, sender="SHOP@example.com") == {"sender@x.com"}
    assert suppression.suppressed_addresses(account.pk, asked, domain="other.example", sender="x@y.com") == set()


def test_released_addresses_get_mail_again(account, now):
    for scope, value in ((Suppression.Scope.ACCOUNT, ""), (DOMAIN, "a.example")):
        suppression.suppress("u@x.com", account=account, reason=BOUNCED, scope=scope, scope_value=value, now=now)

    assert suppression.release("U@x.com", account=account, scope=DOMAIN, scope_value="A.example") == 1
    assert suppression.is_suppressed("u@x.com", account_id=account.pk)
    assert suppression.release("u@x.com", account=account) == 1
    assert suppression.release("u@x.com", account=account) == 0


def test_many_are_written_at_once_and_known_ones_stay(account, now):
    suppression.suppress("u1@x.com", account=account, reason=Suppression.Reason.MANUAL, now=now)
    suppression.suppress_all(Suppression(account=account, address=f"u{n}@x.com", reason=BOUNCED) for n in range(3))

    assert Suppression.objects.count() == 3
    assert Suppression.objects.get(address="u1@x.com").reason == Suppression.Reason.MANUAL


def test_people_add_addresses_by_hand(actor, now):
    assert suppressions.add(addresses=["A@x.com", "a@X.com", "b@x.com"], note="asked", by=actor, now=now) == 2
    assert suppressions.add(addresses=["b@x.com", "c@x.com"], note="", by=actor, now=now) == 1

    row = Suppression.objects.get(address="a@x.com")
    assert (row.reason, row.source, row.evidence) == (Suppression.Reason.MANUAL, actor.name, "asked")


@pytest.mark.parametrize("addresses", [[], ["a@x.com", "nobody"], [f"u{n}@x.com" for n in range(1001)]])
def test_wrong_additions_add_nothing(actor, now, addresses):
    with pytest.raises(suppressions.BadAddresses):
        suppressions.add(addresses=addresses, note="", by=actor, now=now)

    assert not Suppression.objects.exists()


def test_removal_needs_a_reason_and_keeps_it(actor, now):
    suppressions.add(addresses=["a@x.com"], note="", by=actor, now=now)
    row = Suppression.objects.get()
    with pytest.raises(suppressions.NoteMissing):
        suppressions.remove(row, note="  ", by=actor)

    suppressions.remove(row, note="asked by phone", by=actor)

    assert not Suppression.objects.exists()
    entry = AuditEntry.objects.get(action="suppression.removed")
    assert (entry.target, entry.details["note"]) == ("a@x.com", "asked by phone")


def test_strangers_and_viewers_remove_nothing(actor, stranger, member, now):
    suppressions.add(addresses=["a@x.com"], note="", by=actor, now=now)
    suppression.suppress("all@x.com", account=None, reason=BOUNCED, now=now)
    row, platforms = Suppression.objects.order_by("id")

    with pytest.raises(Suppression.DoesNotExist):
        suppressions.remove(row, note="x", by=stranger)
    with pytest.raises(Suppression.DoesNotExist):
        suppressions.remove(platforms, note="x", by=actor)
    with pytest.raises(NotAllowed):
        suppressions.remove(row, note="x", by=Actor.member(member(Role.VIEWER)))

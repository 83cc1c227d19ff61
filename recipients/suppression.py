"""The addresses we do not send to: what the doors and the delivery ask and note.

People's own changes come through `services.suppressions`, which asks for their rights first. An
address is compared by `Address.key`. In SQL, `Suppression.objects.binding(…)` is the same question.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection
from django.db.models import Q

from accounts.models import Account
from mailpush.mail.addresses import BadAddress, parse
from recipients.models import Suppression

EVIDENCE_LENGTH = 2000  # characters; a server's reply has a few hundred

# In the order of the addresses, so that two writers never wait for each other in a circle.
ADD = """
INSERT INTO recipients_suppression (account_id, address, reason, scope, scope_value, source, evidence, created_at)
SELECT %(account)s, key, %(reason)s, %(scope)s, '', %(source)s, %(evidence)s, %(now)s
FROM (SELECT DISTINCT unnest(%(keys)s::text[]) COLLATE "C" AS key ORDER BY key) keys
ON CONFLICT DO NOTHING
"""


def suppress(
    address: str,
    *,
    account: Account | None,
    reason: Suppression.Reason,
    now: datetime,
    source: str = "",
    evidence: str = "",
    scope: Suppression.Scope = Suppression.Scope.ACCOUNT,
    scope_value: str = "",
) -> bool:
    """Keep the account (None: everybody) from sending to the address; return whether that is new.

    What was noted first stays: it is what people judge a release by.

    :raises BadAddress: the text is no address.
    """
    _row, is_new = Suppression.objects.get_or_create(
        account=account,
        address=parse(address).key,
        scope=scope,
        scope_value=scope_value.lower(),
        defaults={
            "reason": reason,
            "source": source[:254],
            "evidence": evidence.replace("\0", "")[:EVIDENCE_LENGTH],
            "created_at": now,
        },
    )
    return is_new


def suppress_addresses(
    keys: Iterable[str], *, account: Account, reason: Suppression.Reason, now: datetime, source: str, evidence: str
) -> int:
    """Keep the account from sending to these addresses (keys), in one statement; return how many are new."""
    with connection.cursor() as cursor:
        cursor.execute(
            ADD,
            {
                "keys": list(keys),
                "account": account.pk,
                "reason": reason,
                "scope": Suppression.Scope.ACCOUNT,
                "source": source[:254],
                "evidence": evidence.replace("\0", "")[:EVIDENCE_LENGTH],
                "now": now,
            },
        )
        return int(cursor.rowcount)


def suppress_all(rows: Iterable[Suppression]) -> None:
    """Write many at once; rows that exist stay as they are. Addresses must be keys already."""
    Suppression.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def release(
    address: str,
    *,
    account: Account | None,
    scope: Suppression.Scope | None = None,
    scope_value: str = "",
) -> int:
    """Allow sending to the address again, in one scope or (None) in all; return how many rows that took."""
    rows = Suppression.objects.filter(account=account, address=key_of(address))
    if scope is not None:
        rows = rows.filter(scope=scope, scope_value=scope_value.lower())
    return rows.delete()[0]


def is_suppressed(address: str, *, account_id: int, domain: str = "", sender: str = "") -> bool:
    """Return whether the account may not send to it; domain and sender say through which of its own."""
    return (
        Suppression.objects.binding(account_id, domain=domain, sender=sender).filter(address=key_of(address)).exists()
    )


def suppressed_addresses(account_id: int, addresses: Iterable[str], *, domain: str = "", sender: str = "") -> set[str]:
    """Return the keys of those among the addresses (keys as well) that the account may not send to."""
    rows = Suppression.objects.binding(account_id, domain=domain, sender=sender).filter(address__in=list(addresses))
    return set(rows.values_list("address", flat=True))


def marks(account_id: int, addresses: Iterable[str]) -> dict[str, list[Suppression]]:
    """Return for each address (a key) what keeps the account from sending to it, in whatever scope."""
    rows = Suppression.objects.filter(Q(account_id=account_id) | Q(account=None), address__in=list(addresses))
    found: dict[str, list[Suppression]] = {}
    for row in rows.order_by("pk"):
        found.setdefault(row.address, []).append(row)
    return found


def key_of(address: str) -> str:
    """Return the address as it is looked up; text that is no address is on no list."""
    try:
        return parse(address).key
    except BadAddress:
        return address.lower()

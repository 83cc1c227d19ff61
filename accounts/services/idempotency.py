"""Calls that a program may safely repeat: one deed, and the first answer again.

The claim is committed before the work begins, so that of two calls at once only one works. The answer is written
in the transaction that does the work: after a crash or an error it is there exactly when the deed is done, and a
claim without an answer may be taken over once its time is up.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Account, IdempotentCall
from accounts.purging import KEPT
from mailpush.lib import encryption
from mailpush.lib.refusals import Refusal

CLAIM_LASTS = timedelta(minutes=2)  # longer than any call takes
KEY_LENGTH = 255


class BadIdempotencyKey(Refusal):
    code = "bad_idempotency_key"


class KeyReused(Refusal):
    """The same key came with something else to do."""

    code = "idempotency_key_reused"


class CallInFlight(Refusal):
    """The first call with the key is not over."""

    code = "idempotency_call_in_flight"


class ClaimLost(Exception):
    """The work took longer than its claim, and another call has taken it over: what was done is rolled back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished call's answer; `body` is plain JSON values."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Claim:
    call_id: int
    fence: UUID


def fingerprint(*parts: bytes) -> str:
    """Return what tells one request from another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def claim(account: Account, key: str, asked: str, *, now: datetime) -> Claim | Answer:
    """Take the call, or return the answer it was given; outside of any transaction.

    :param asked: the request's fingerprint.
    :raises BadIdempotencyKey: not 1 to 255 printable characters.
    :raises KeyReused: the key was used for something else.
    :raises CallInFlight: another call with the key is being worked on.
    """
    if not 0 < len(key) <= KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise BadIdempotencyKey(
            _("An Idempotency-Key has 1 to %(most)d printable ASCII characters.") % {"most": KEY_LENGTH},
            field="Idempotency-Key",
        )
    taken = Claim(0, uuid4())
    fresh = {"fingerprint": asked, "claimed_until": now + CLAIM_LASTS, "fence": taken.fence, "created_at": now}
    call, is_new = IdempotentCall.objects.get_or_create(account=account, key=key, defaults=fresh)
    if is_new or _take_over(call, fresh, now=now):
        return Claim(call.pk, taken.fence)
    if call.fingerprint != asked:
        raise KeyReused(
            _("This Idempotency-Key was used for another request. Make a new key for each thing to do."),
            field="Idempotency-Key",
        )
    if call.status is None:
        raise CallInFlight(
            _("The first request with this Idempotency-Key is still being worked on. Ask again in a moment."),
            field="Idempotency-Key",
        )
    return Answer(call.status, json.loads(encryption.decrypt(call.encrypted_answer)))


def _take_over(call: IdempotentCall, fresh: dict[str, Any], *, now: datetime) -> bool:
    """Take a call that is forgotten by now, or whose worker died before its work was done."""
    forgotten = Q(created_at__lt=now - KEPT)
    died = Q(status=None, claimed_until__lt=now, fingerprint=fresh["fingerprint"])
    free = IdempotentCall.objects.filter(forgotten | died, pk=call.pk)
    return bool(free.update(**fresh, status=None, encrypted_answer=""))


def complete(claimed: Claim, answer: Answer) -> None:
    """Keep the answer, in the transaction that does the work.

    :raises ClaimLost: another call has taken the work over.
    """
    stored = encryption.encrypt(json.dumps(answer.body))
    if not _held(claimed).update(status=answer.status, encrypted_answer=stored):
        raise ClaimLost


def release(claimed: Claim) -> None:
    """Forget a call that did nothing, so that it may be made again."""
    _held(claimed).delete()


def _held(claimed: Claim) -> Any:
    return IdempotentCall.objects.filter(pk=claimed.call_id, fence=claimed.fence, status=None)

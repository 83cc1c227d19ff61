"""Who calls: the access key, proved by signature, within its time, each call once."""

import hmac
import re
from datetime import UTC, datetime, timedelta

from accounts.models import AccessKey
from mailpush.lib.brief import Brief
from mailpush.rpc import errors, signatures
from mailpush.rpc.errors import ApiError
from mailpush.rpc.wire import Call, Signed

CLOCKS_DIFFER_BY = timedelta(minutes=15)
LONGEST_NONCE = 128
# Fractions of a second are more than the documents say, and what some clients send.
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z")


# A key with its account and its secret; one that is disabled is believed in for a second more.
known_keys: Brief[tuple[AccessKey, str]] = Brief()


def prove(call: Call, *, ip: str | None, now: datetime) -> AccessKey:
    """Return the key whose owner made the call; whether it was made before is asked apart (`limits.admit`).

    :raises ApiError: too old, unknown or disabled key, the signature does not fit, or the key is not for this: it may
        not be used from there, or is restricted to parts of the REST API.
    """
    must_be_fresh(call.timestamp, now=now)
    if not 0 < len(call.nonce) <= LONGEST_NONCE:
        raise errors.not_valid("SignatureNonce")
    found = known_keys.of(call.key_id, lambda: _key(call.key_id))
    if found is None:
        raise ApiError("InvalidAccessKeyId.NotFound")
    key, secret = found
    if call.signed.authorization:
        _prove_v3(call.signed, call.signed.authorization, secret)
    else:
        _prove_v1(call, secret)
    if not key.is_active:  # said only to whoever has the secret
        raise ApiError("InvalidAccessKeyId.Inactive")
    if not key.may_come_from(ip):
        raise ApiError("Forbidden.IP")
    if key.scopes:
        raise ApiError("Forbidden.RAM")
    return key


def _key(key_id: str) -> tuple[AccessKey, str] | None:
    key = AccessKey.objects.select_related("account").filter(key_id=key_id.replace("\0", "")).first()
    return (key, key.secret) if key else None


def _prove_v1(call: Call, secret: str) -> None:
    method = call.parameters["SignatureMethod"].upper()
    if method not in signatures.V1_DIGESTS:
        raise ApiError("InvalidSignatureMethod")
    wanted = signatures.v1_string_to_sign(call.signed.method, [*call.signed.query, *call.signed.form])
    signature = signatures.v1_signature(wanted, secret, method=method)
    if not _same(signature, call.parameters["Signature"]):
        raise errors.signature_mismatch(wanted)


def _prove_v3(signed: Signed, given: signatures.Authorization, secret: str) -> None:
    """The body counts through its hash: a request is refused where the hash it signs is not that of its body."""
    if given.algorithm not in {signatures.V3_SHA256, signatures.V3_SM3}:
        raise ApiError("InvalidSignatureMethod")
    payload_hash = signatures.v3_hash(given.algorithm, signed.body)
    wanted = signatures.v3_string_to_sign(
        given.algorithm,
        signatures.v3_canonical_request(
            signed.method, signed.query, signed.headers, given.signed_headers, payload_hash
        ),
    )
    signature = signatures.v3_signature(given.algorithm, wanted, secret)
    is_whole = _same(payload_hash, signed.headers["x-acs-content-sha256"].lower())
    if not is_whole or not _same(signature, given.signature):
        raise errors.signature_mismatch(wanted)


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))


def must_be_fresh(text: str, *, now: datetime) -> None:
    """Refuse what was signed too long ago, or with a clock that is wrong.

    :raises ApiError: it is no time stamp, or too far away.
    """
    found = TIMESTAMP.fullmatch(text)
    try:
        at = datetime.strptime(found[1] if found else "", "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise ApiError("InvalidTimeStamp.Format") from error
    if abs(now - at) > CLOCKS_DIFFER_BY:
        raise ApiError("InvalidTimeStamp.Expired")

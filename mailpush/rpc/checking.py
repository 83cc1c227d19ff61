"""What is wrong with a signature: a pasted request is signed anew, rightly and in the ways that programs get wrong.

Only whether a signature fits is told, never what it should be: who may look at the page may not sign for others.
"""

import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from django.core.handlers.wsgi import WSGIRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import AccessKey, Account
from mailpush.rpc import authentication, signatures, wire
from mailpush.rpc.errors import ApiError
from mailpush.rpc.wire import Call, Pairs

LONGEST = 2_000_000  # characters of a pasted request
SHOWN = 40  # characters around a difference
REQUEST_LINE = re.compile(r"(GET|POST)\s+(\S+)(?:\s+HTTP/1\.[01])?", re.IGNORECASE)
NAMELESS = {"CONTENT_TYPE", "CONTENT_LENGTH"}  # headers that WSGI has under their own names


class NotARequest(Exception):
    """What was pasted is no HTTP request."""


@dataclass(slots=True)
class Report:
    """What was found: whether the signature fits, what is said about it, and what we would sign."""

    fits: bool = False
    findings: list[str] = field(default_factory=list)
    string_to_sign: str = ""
    canonical_request: str = ""  # of V3


def report(text: str, *, own: str, account: Account, now: datetime) -> Report:
    """Examine a pasted request.

    :param own: the string that the program itself has signed; empty where it is not known.
    :raises NotARequest: it cannot be read as one.
    """
    found = Report()
    try:
        call = wire.read(_request(text))
    except ApiError as error:
        found.findings.append(f"{error.code}: {error.message}")
        return found
    key = AccessKey.objects.filter(account=account, key_id=call.key_id.replace("\0", "")).first()
    if key is None:
        found.findings.append(_("%(key)s is none of this account's access keys.") % {"key": call.key_id[:80]})
    elif not key.is_active:
        found.findings.append(_("The access key is disabled."))
    found.findings += _about_time(call, now)
    _sign(call, found, key.secret if key else "")
    if key and not found.fits:
        found.findings += [str(sentence) for sentence in _mistakes(call, key.secret)]
        if own.strip():
            found.findings += _compared(own.strip(), found.canonical_request or found.string_to_sign)
        elif not found.findings:
            found.findings.append(_("The secret is another one, or the request was changed after it was signed."))
    return found


def _request(text: str) -> WSGIRequest:
    """Return what the text of a request would have been for us."""
    head, _blank, body = text[:LONGEST].replace("\r\n", "\n").lstrip().partition("\n\n")
    first, *lines = head.split("\n")
    line = REQUEST_LINE.match(first.strip())
    if not line:
        raise NotARequest
    try:
        target = urlsplit(line[2])
    except ValueError:
        raise NotARequest from None
    sent = body.strip("\n").encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": line[1].upper(),
        "PATH_INFO": "/",  # no signature is over it
        "QUERY_STRING": target.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": wire.FORM if sent else "",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": BytesIO(sent),
    }
    if target.netloc:
        environ["HTTP_HOST"] = target.netloc
    for each in lines:
        name, colon, value = each.partition(":")
        wsgi_name = name.strip().upper().replace("-", "_")
        if colon and wsgi_name != "CONTENT_LENGTH":
            environ[wsgi_name if wsgi_name in NAMELESS else f"HTTP_{wsgi_name}"] = value.strip()
    return WSGIRequest(environ)


def _about_time(call: Call, now: datetime) -> Iterator[str]:
    try:
        authentication.must_be_fresh(call.timestamp, now=now)
    except ApiError as error:
        if error.code == "InvalidTimeStamp.Format":
            yield _("The time stamp is not written like 2026-11-26T09:30:00Z, in UTC.")
        else:
            minutes = authentication.CLOCKS_DIFFER_BY.seconds // 60
            yield _("The time stamp is more than %(minutes)d minutes away from our clock.") % {"minutes": minutes}


def _sign(call: Call, found: Report, secret: str) -> None:
    signed, given = call.signed, call.signed.authorization
    if given is None:
        found.string_to_sign = signatures.v1_string_to_sign(signed.method, [*signed.query, *signed.form])
        method = call.parameters["SignatureMethod"].upper()
        if method in signatures.V1_DIGESTS:
            ours = signatures.v1_signature(found.string_to_sign, secret, method=method)
            found.fits = bool(secret) and _same(ours, call.parameters["Signature"])
        else:
            found.findings.append(_("The signature method is not HMAC-SHA1 or HMAC-SHA256."))
        return
    if given.algorithm not in {signatures.V3_SHA256, signatures.V3_SM3}:
        found.findings.append(_("The algorithm is not ACS3-HMAC-SHA256 or ACS3-HMAC-SM3."))
        return
    digest = signatures.v3_hash(given.algorithm, signed.body)
    found.canonical_request = signatures.v3_canonical_request(
        signed.method, signed.query, signed.headers, given.signed_headers, digest
    )
    found.string_to_sign = signatures.v3_string_to_sign(given.algorithm, found.canonical_request)
    is_whole = _same(digest, signed.headers["x-acs-content-sha256"].lower())
    if not is_whole:
        found.findings.append(_("x-acs-content-sha256 is not the hash of this body."))
    ours = signatures.v3_signature(given.algorithm, found.string_to_sign, secret)
    found.fits = bool(secret) and is_whole and _same(ours, given.signature)


# Mistakes that programs make

Encode = Callable[[str], str]


def _mistakes(call: Call, secret: str) -> Iterator[Any]:
    """Yield what the program did where its signature is right but for that."""
    if call.signed.authorization is None:
        given = call.parameters["Signature"]
        method = call.parameters["SignatureMethod"].upper()
        if method not in signatures.V1_DIGESTS:
            return
        for sentence, text in _v1_variants(call):
            if _same(signatures.v1_signature(text, secret, method=method), given):
                yield sentence
        right = signatures.v1_string_to_sign(call.signed.method, [*call.signed.query, *call.signed.form])
        if _same(signatures.v1_signature(right, secret, method=method, ending=""), given):
            yield _("The key must be the secret with “&” behind it.")
    else:
        yield from _v3_mistakes(call, secret)


def _v1_variants(call: Call) -> Iterator[tuple[Any, str]]:
    """Yield mistakes with the string that is signed by who makes them."""
    method, query, form = call.signed.method, call.signed.query, call.signed.form
    both: Pairs = [(name, value) for name, value in (*query, *form) if name != "Signature"]
    in_form = {name for name, _value in form}
    yield gettext_lazy("It was signed for the other HTTP method."), _string("GET" if method == "POST" else "POST", both)
    unsigned = gettext_lazy("The parameters in the form body were not signed.")
    yield unsigned, _string(method, [pair for pair in both if pair[0] not in in_form])
    left_out = gettext_lazy("Empty parameters were left out: they are signed as “name=”.")
    yield left_out, _string(method, [pair for pair in both if pair[1]])
    for sentence, encode in ENCODINGS:
        yield sentence, _string(method, both, encode)
    yield gettext_lazy("The parameters were not sorted by name."), _string(method, both, is_sorted=False)
    once = signatures.canonical_query(both)
    yield gettext_lazy("The sorted parameters must be encoded once more."), f"{method}&%2F&{once}"


ENCODINGS: tuple[tuple[Any, Encode], ...] = (
    (gettext_lazy("Spaces were encoded as “+”: they are %20."), lambda text: quote_plus(text, safe="-_.~")),
    (gettext_lazy("“*” was not encoded: it is %2A."), lambda text: quote(text, safe="-_.~*")),
    (gettext_lazy("“~” was encoded: it stands as it is."), lambda text: quote(text, safe="-_.").replace("~", "%7E")),
    (gettext_lazy("“!”, “'”, “(” and “)” were not encoded."), lambda text: quote(text, safe="-_.~!'()")),
    (gettext_lazy("“/” was not encoded: it is %2F."), lambda text: quote(text, safe="-_.~/")),
)


def _string(method: str, pairs: Pairs, encode: Encode = signatures.percent, *, is_sorted: bool = True) -> str:
    order = sorted(pairs) if is_sorted else pairs
    joined = "&".join(f"{encode(name)}={encode(value)}" for name, value in order)
    return f"{method}&%2F&{encode(joined)}"


def _v3_mistakes(call: Call, secret: str) -> Iterator[Any]:
    signed, given = call.signed, call.signed.authorization
    assert given
    if given.algorithm not in {signatures.V3_SHA256, signatures.V3_SM3}:
        return
    digest = signed.headers["x-acs-content-sha256"]
    host = signed.headers["host"]
    variants: list[tuple[Any, Pairs, dict[str, str], str]] = [
        (gettext_lazy("The query string was not signed."), [], signed.headers, secret),
        (
            gettext_lazy("Host was signed without its port, or a proxy has changed it."),
            signed.query,
            {**signed.headers, "host": host.partition(":")[0]},
            secret,
        ),
        (gettext_lazy("For V3 the key is the secret alone, without “&”."), signed.query, signed.headers, f"{secret}&"),
        (
            gettext_lazy("The parameters of the form body were signed as a query string."),
            [*signed.query, *signed.form],
            signed.headers,
            secret,
        ),
    ]
    for sentence, query, headers, key in variants:
        request = signatures.v3_canonical_request(signed.method, query, headers, given.signed_headers, digest)
        text = signatures.v3_string_to_sign(given.algorithm, request)
        if _same(signatures.v3_signature(given.algorithm, text, key), given.signature):
            yield sentence


def _compared(theirs: str, ours: str) -> Iterator[str]:
    """Yield where the program's string and ours part."""
    theirs = theirs.replace("\r\n", "\n")
    if theirs == ours:
        yield _("Your string is ours, so the secret is another one, or the wrong key or algorithm was used with it.")
        return
    pairs = zip(theirs, ours, strict=False)
    at = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(theirs), len(ours)))
    begin = max(at - SHOWN, 0)
    yield _("The strings part at character %(place)d. Yours: “%(theirs)s”. Ours: “%(ours)s”.") % {
        "place": at + 1,
        "theirs": theirs[begin : at + SHOWN],
        "ours": ours[begin : at + SHOWN],
    }


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))

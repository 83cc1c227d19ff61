"""Reading a request: which operation, with which parameters, signed how.

Query string and body are read raw: a signature is over what was sent, and Django's own reading forgives what must
not be forgiven here (a parameter given twice would be signed with one value and used with another).
"""

import re
from binascii import a2b_qp
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from django.http import HttpRequest

from mailpush.rpc import errors, signatures
from mailpush.rpc.errors import ApiError

LONGEST_QUERY = 1024 * 1024  # bytes; 80 KB of Chinese are 240 KB when they stand in a URL
LONGEST_BODY = 32 * 1024 * 1024  # bytes; 8 MB of HTML, most of it percent-encoded
MOST_PARAMETERS = 2000
FORM = "application/x-www-form-urlencoded"
MARKS = ("Action", "Signature", "AccessKeyId")  # one of them in the query string makes a request ours

NO_QUOTED_PRINTABLE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[\r\n]")  # broken escapes, and line ends that it would join

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as far as its signature is concerned; `authorization` is None for V1."""

    method: str
    query: Pairs
    form: Pairs
    headers: dict[str, str]  # by lower-case name, those of V3
    body: bytes
    authorization: signatures.Authorization | None


@dataclass(frozen=True, slots=True)
class Call:
    """An operation with its parameters, from a request whose signature is still to be proved."""

    action: str
    version: str
    parameters: dict[str, str]
    signed: Signed
    key_id: str
    nonce: str
    timestamp: str


def is_call(request: HttpRequest) -> bool:
    """Tell whether a request for `/` speaks this protocol; all others are visitors of the console."""
    return request.method == "POST" or is_marked(request)


def is_marked(request: HttpRequest) -> bool:
    """Tell whether headers or query string say that it is a call."""
    if "HTTP_X_ACS_ACTION" in request.META or _is_v3(request):
        return True
    names = {part.partition("=")[0] for part in request.META.get("QUERY_STRING", "").split("&")}
    return not names.isdisjoint(MARKS)


def wants_xml(request: HttpRequest) -> bool:
    """Tell how to answer as long as the call has not been read; a form may say otherwise."""
    if _is_v3(request):
        return False
    formats = [value for name, value in _lenient(request.META.get("QUERY_STRING", "")) if name == "Format"]
    return formats[0].upper() == "XML" if formats else request.method == "GET"


def format_of(call: Call) -> str:
    """Return `JSON` or `XML`: V3 speaks JSON, V1 XML unless it says otherwise.

    Old clients that set no format send the word `None`; they cannot read either, so they get JSON.

    :raises ApiError: it is something else.
    """
    if call.signed.authorization:
        return "JSON"
    wanted = call.parameters.get("Format", "").upper() or "XML"
    if wanted not in {"XML", "JSON", "NONE"}:
        raise ApiError("InvalidParameter.Format")
    return "JSON" if wanted == "NONE" else wanted


def read(request: HttpRequest) -> Call:
    """Return what a request asks for.

    :raises ApiError: it cannot be read, or lacks what a signature needs.
    """
    if request.method not in {"GET", "POST"}:
        raise ApiError("UnsupportedHTTPMethod")
    raw_query = request.META.get("QUERY_STRING", "")
    if len(raw_query) > LONGEST_QUERY:
        raise ApiError("RequestUriTooLong")
    query = _pairs(raw_query)
    body = _body(request)
    form = _pairs(_text(body)) if body and _is_form(request) else []
    _refuse_twice([*query, *form])
    parameters = dict([*query, *form])
    signed = Signed(
        method=request.method,
        query=query,
        form=form,
        headers=_headers(request),
        body=body,
        authorization=_authorization(request, parameters),
    )
    return _v3(signed, parameters) if signed.authorization else _v1(signed, parameters)


def _v1(signed: Signed, parameters: dict[str, str]) -> Call:
    """V1 signs parameters only: what headers say about the operation is worth nothing."""
    for name in ("Action", "Version", "AccessKeyId", "Timestamp", "SignatureNonce", "SignatureMethod", "Signature"):
        if not parameters.get(name):
            raise errors.missing(name)
    return Call(
        action=parameters["Action"],
        version=parameters["Version"],
        parameters=parameters,
        signed=signed,
        key_id=parameters["AccessKeyId"],
        nonce=parameters["SignatureNonce"],
        timestamp=parameters["Timestamp"],
    )


def _v3(signed: Signed, parameters: dict[str, str]) -> Call:
    assert signed.authorization
    headers = signed.headers
    for name in sorted(signatures.V3_MUST_SIGN):
        if not headers.get(name):
            raise errors.missing(name)
    if unsigned := signatures.V3_MUST_SIGN - set(signed.authorization.signed_headers):
        sentence = f"SignedHeaders must name {', '.join(sorted(unsigned))}."
        raise ApiError("IncompleteSignature", sentence)
    return Call(
        action=headers["x-acs-action"],
        version=headers["x-acs-version"],
        parameters=parameters,
        signed=signed,
        key_id=signed.authorization.key_id,
        nonce=headers["x-acs-signature-nonce"],
        timestamp=headers["x-acs-date"],
    )


def _authorization(request: HttpRequest, parameters: dict[str, str]) -> signatures.Authorization | None:
    if not _is_v3(request):
        return None
    if "Signature" in parameters:  # which of the two holds would be anybody's guess
        raise ApiError("IncompleteSignature", "Sign by the Authorization header or by parameters, not by both.")
    try:
        return signatures.read_authorization(request.META["HTTP_AUTHORIZATION"])
    except signatures.BadAuthorization as error:
        sentence = "Authorization must be: ACS3-HMAC-SHA256 Credential=<key>,SignedHeaders=<a;b>,Signature=<hex>."
        raise ApiError("IncompleteSignature", sentence) from error


def _is_v3(request: HttpRequest) -> bool:
    return str(request.META.get("HTTP_AUTHORIZATION", "")).startswith("ACS3-")


def _is_form(request: HttpRequest) -> bool:
    return str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower() in {FORM, ""}


def _headers(request: HttpRequest) -> dict[str, str]:
    found = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in request.META.items()
        if name.startswith("HTTP_")
    }
    found["content-type"] = str(request.META.get("CONTENT_TYPE", ""))
    found["content-length"] = str(request.META.get("CONTENT_LENGTH", ""))
    return found


def _body(request: HttpRequest) -> bytes:
    """Read past Django's own limit, which is meant for the forms of the console."""
    if request.method == "GET":
        return b""
    body: bytes = request.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        raise ApiError("RequestEntityTooLarge")
    return body


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape")


def _pairs(encoded: str) -> Pairs:
    """Decode names and values; a name without `=` has an empty value.

    :raises ApiError: there are too many, or one is not UTF-8.
    """
    if encoded.count("&") >= MOST_PARAMETERS:
        raise ApiError("InvalidParameter.TooMany", f"A request has at most {MOST_PARAMETERS} parameters.")
    try:
        return [
            (_decoded(name), _decoded(value))
            for name, _, value in (part.partition("=") for part in encoded.split("&") if part)
        ]
    except UnicodeError as error:
        raise ApiError("InvalidParameter.Encoding", "Parameters must be percent-encoded UTF-8.") from error


def _decoded(text: str) -> str:
    decoded = unquoted(text)
    decoded.encode()  # bytes above ASCII that came unencoded, and are no UTF-8
    return decoded


def unquoted(text: str) -> str:
    """Return what `unquote_plus` makes of a value, of megabytes in a quarter of the time.

    Quoted-printable (RFC 2045, section 6.7) is the same with another sign, and the standard library reads it in C.

    :raises UnicodeDecodeError: it is no UTF-8.
    """
    data = text.encode() if text.isascii() else b"%"
    if NO_QUOTED_PRINTABLE.search(data):
        return unquote_plus(text, errors="strict")
    return a2b_qp(data.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")).decode()


def _lenient(encoded: str) -> Pairs:
    return [
        (name, unquote_plus(value))
        for name, _, value in (part.partition("=") for part in encoded.split("&", MOST_PARAMETERS))
    ]


def _refuse_twice(pairs: Iterable[tuple[str, str]]) -> None:
    seen = set[str]()
    for name, _value in pairs:
        if name in seen:
            raise ApiError("InvalidParameter.Duplicate", f"{name} is given more than once.")
        seen.add(name)

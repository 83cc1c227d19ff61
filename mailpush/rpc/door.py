"""One request from the bytes to the answer; whatever goes wrong is told in the protocol's own way."""

import logging
from dataclasses import dataclass
from datetime import datetime

import redis
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from accounts.actors import Actor
from accounts.http import client_ip
from accounts.models import AccessKey
from accounts.services import access_keys
from mailpush.lib.refusals import Refusal
from mailpush.rpc import answers, authentication, limits, refused, registry, wire
from mailpush.rpc.caller import Caller
from mailpush.rpc.errors import ApiError
from mailpush.rpc.params import Params
from mailpush.rpc.wire import Call

UNPROVED = ("InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Exchange:
    """What an answer needs of its request, as far as that could be read."""

    request_id: str
    host: str
    as_xml: bool
    action: str = ""


def answer(request: HttpRequest) -> HttpResponse:
    """Answer a call."""
    exchange = Exchange(
        request_id=answers.new_request_id(),
        host=str(request.META.get("HTTP_HOST", "")),
        as_xml=wire.wants_xml(request),
    )
    with translation.override("en"):
        try:
            return _answer(request, exchange)
        except ApiError as error:
            return _refuse(error, exchange)
        except Refusal as refusal:
            return _refuse(refused.as_error(refusal), exchange)
        except (DatabaseError, redis.RedisError):
            log.exception("%s (request %s)", exchange.action, exchange.request_id)
            return _refuse(ApiError("ServiceUnavailable"), exchange)
        except Exception:  # the outermost caller: an SDK can read nothing but this envelope
            log.exception("%s (request %s)", exchange.action, exchange.request_id)
            return _refuse(ApiError("InternalError"), exchange)


def not_here(request: HttpRequest) -> HttpResponse:
    """Answer a call that was sent to another path than `/`."""
    exchange = Exchange(answers.new_request_id(), str(request.META.get("HTTP_HOST", "")), wire.wants_xml(request))
    return _refuse(ApiError("InvalidAction.NotFound"), exchange)


def _answer(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    now = timezone.now()
    call = wire.read(request)
    exchange.as_xml, exchange.action = wire.format_of(call) == "XML", call.action
    key = _admitted(call, ip=client_ip(request), now=now)
    operation = registry.operation(call.action, call.version)
    limits.admit(
        key_id=key.key_id, nonce=call.nonce, account_id=key.account_id, action=call.action, usual=operation.limit
    )
    access_keys.note_use(key, now=now)
    caller = Caller(by=Actor.access_key(key, ip=client_ip(request)), now=now)
    fields = operation.run(caller, Params(call.parameters))
    return answers.success(call.action, fields, request_id=exchange.request_id, as_xml=exchange.as_xml)


def _admitted(call: Call, *, ip: str | None, now: datetime) -> AccessKey:
    try:
        return authentication.prove(call, ip=ip, now=now)
    except ApiError as error:
        if error.code in UNPROVED:
            limits.note_failure(ip or "")
        raise


def _refuse(error: ApiError, exchange: Exchange) -> HttpResponse:
    return answers.failure(error, request_id=exchange.request_id, host=exchange.host, as_xml=exchange.as_xml)

"""`Authorization: Bearer <access key id>.<secret>`."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.actors import Actor
from accounts.http import client_ip
from accounts.models import AccessKey
from accounts.services import access_keys

SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class Caller:
    """The program that calls: its access key, and that as an actor."""

    key: AccessKey
    actor: Actor
    is_authenticated: bool = True  # as Django asks of a user


class BearerKey(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not scheme:
            return None
        key = access_keys.verify(token.strip()) if scheme.lower() == SCHEME else None
        if key is None:
            raise AuthenticationFailed(
                _("There is no such access key, or it is disabled. Send: Authorization: Bearer <id>.<secret>")
            )
        ip = client_ip(request)
        if not key.may_come_from(ip):
            raise AuthenticationFailed(
                _("This access key may not be used from %(ip)s.") % {"ip": ip}, code="address_not_allowed"
            )
        access_keys.note_use(key, now=timezone.now())
        return Caller(key, Actor.access_key(key, ip=ip)), None

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return 'Bearer realm="mailpush"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the description of the API tells of it."""

    target_class = BearerKey
    name = "accessKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002 - spectacular's signature
        return {
            "type": "http",
            "scheme": SCHEME,
            "description": "The id and the secret of an access key, joined by a dot: `MP0123….s3cr3t…`",
        }

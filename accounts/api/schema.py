"""How the API is described (OpenAPI 3.1): what all operations have in common is said here once."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_serializer
from rest_framework import serializers

from accounts.api.fields import Shape
from accounts.services.idempotency import KEY_LENGTH

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Any text of your own, new for each thing to do. The same call with the same key within 24 hours is "
    "not done again, but has the first answer again.",
)
EVERY = {
    "401": "The access key is missing, wrong, disabled, or used from an address that it is not for.",
    "403": "The access key's scopes or role do not reach that far.",
    "429": "Too many requests, or the quota is spent.",
    "500": "Something went wrong on our side.",
    "503": "The platform does not reach its database, or cannot keep files. Ask again later, with the same key.",
}
WITH_ID = {"404": "There is no such thing, or it is another account's."}
WITH_INPUT = {"422": "A value is wrong; `field` names it."}
CHANGING = {
    "400": "The body is not JSON.",
    "409": "The state of things does not allow it, or an Idempotency-Key is in use.",
    "413": "The request is too large.",
    "415": "The body has another media type.",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A wrong value",
            value={
                "code": "bad_address",
                "message": "An email address must have an @-sign.",
                "field": "recipients[3].address",
            },
            response_only=True,
            status_codes=[*EVERY, *WITH_ID, *WITH_INPUT, *CHANGING],
        )
    ]
)
class Error(serializers.Serializer[Any]):
    """Why a call was not done. Nothing of it was done then."""

    code = serializers.CharField(help_text="For programs; it stays as it is.")
    message = serializers.CharField(help_text="For people: what is wrong and what to do, in the language asked for.")
    field = serializers.CharField(help_text="The input at fault, such as `recipients[3].address`; empty for none.")


Shown = TypeVar("Shown", bound=type[serializers.BaseSerializer[Any]])


def shown_as(value: dict[str, Any], name: str = "Example") -> Callable[[Shown], Shown]:
    """Give what answers contain an example."""
    example = OpenApiExample(name, value=value, response_only=True, status_codes=["200", "201", "202"])
    return extend_schema_serializer(examples=[example])


def asked_as(*values: dict[str, Any]) -> Callable[[Shown], Shown]:
    """Give what calls contain an example, or several."""
    names = ("Example", "Another", "A third")
    examples = [
        OpenApiExample(name, value=value, request_only=True) for name, value in zip(names, values, strict=False)
    ]
    return extend_schema_serializer(examples=examples)


def page_of(entry: type[serializers.Serializer[Any]], example: dict[str, Any]) -> type[serializers.Serializer[Any]]:
    """Return what a page of a list looks like."""
    fields = {"data": entry(many=True), "next": serializers.CharField(allow_null=True)}
    page: type[serializers.Serializer[Any]] = type(f"{entry.__name__}Page", (serializers.Serializer,), fields)
    return shown_as({"data": [example], "next": None})(page)


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        handler = getattr(self.view, self.method.lower())
        return [IDEMPOTENCY_KEY] if getattr(handler, "is_repeatable", False) else []

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code, description in self._errors().items():
            error = self._get_response_for_code(Error, code)  # type: ignore[no-untyped-call]
            bodies.setdefault(code, {**error, "description": description})
        return dict(sorted(bodies.items()))

    def _errors(self) -> dict[str, str]:
        errors = dict(EVERY)
        if "{" in self.path:
            errors |= WITH_ID
        if self.method != "GET" or self._get_parameters():
            errors |= WITH_INPUT
        if self.method != "GET":
            errors |= CHANGING
        return errors


def close_shapes(result: dict[str, Any], generator: Any, **_options: Any) -> dict[str, Any]:  # noqa: ARG001 - spectacular's signature
    """Say of what calls may contain that nothing else may stand there."""
    closed = {name for shape in _heirs(Shape) for name in _names(shape)}
    for name, schema in result["components"]["schemas"].items():
        if name in closed:
            schema["additionalProperties"] = False
    return result


def _heirs(shape: type[Any]) -> list[type[Any]]:
    return [heir for child in shape.__subclasses__() for heir in (child, *_heirs(child))]


def _names(shape: type[Any]) -> tuple[str, str]:
    name = shape.__name__.removesuffix("Serializer")
    return name, f"Patched{name}"

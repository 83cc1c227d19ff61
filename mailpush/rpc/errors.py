"""What the API says no with: DirectMail's codes, texts and HTTP statuses."""

from http import HTTPStatus

# Of the gateway, before an operation is reached; the texts are what the SDKs and their users know.
TEXTS = {
    "InvalidAction.NotFound": "Specified api is not found, please check your url and method.",
    "InvalidVersion": "Specified parameter Version is not valid.",
    "InvalidAccessKeyId.NotFound": "Specified access key is not found.",
    "InvalidAccessKeyId.Inactive": "Specified access key is disabled.",
    "InvalidTimeStamp.Format": "Specified time stamp or date value is not well formatted.",
    "InvalidTimeStamp.Expired": "Specified time stamp or date value is expired.",
    "SignatureNonceUsed": "Specified signature nonce was used already.",
    "InvalidParameter.Format": "Specified parameter format is not valid.",
    "InvalidSignatureMethod": "Specified signature method is not valid.",
    "UnsupportedHTTPMethod": "This http method is not supported.",
    "InternalError": "The request processing has failed due to some unknown error.",
    "ServiceUnavailable": "The request has failed due to a temporary failure of the server.",
    "Throttling.User": "Request was denied due to user flow control.",
    "RequestEntityTooLarge": "The request body is larger than this API takes.",
    "RequestUriTooLong": "The URL is longer than this API takes: send large parameters in the form body.",
    "Forbidden.IP": "The request comes from an address that is not on the IP allow list of the account.",
}
STATUSES = {
    "InvalidAction.NotFound": HTTPStatus.NOT_FOUND,
    "InvalidAccessKeyId.NotFound": HTTPStatus.NOT_FOUND,
    "InternalError": HTTPStatus.INTERNAL_SERVER_ERROR,
    "ServiceUnavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "RequestEntityTooLarge": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "RequestUriTooLong": HTTPStatus.REQUEST_URI_TOO_LONG,
    "Forbidden.IP": HTTPStatus.FORBIDDEN,
    "Forbidden.RAM": HTTPStatus.FORBIDDEN,
}


class ApiError(Exception):
    """An answer that is no: `retry_after` (milliseconds) comes with throttling alone."""

    def __init__(self, code: str, message: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message or TEXTS[code]
        self.retry_after = retry_after

    @property
    def status(self) -> HTTPStatus:
        """DirectMail answers 404 where something is not found, and 400 for nearly everything else."""
        is_lookup = self.code.endswith(".NotFound")
        return STATUSES.get(self.code, HTTPStatus.NOT_FOUND if is_lookup else HTTPStatus.BAD_REQUEST)


def missing(name: str) -> ApiError:
    return ApiError(f"Missing{name}", f"{name} is mandatory for this action.")


def not_valid(name: str, sentence: str = "", *, kind: str = "") -> ApiError:
    """Return the error about one parameter: `Invalid<name>`, with `.Malformed` and the like as the kind."""
    code = f"Invalid{name}.{kind}" if kind else f"Invalid{name}"
    return ApiError(code, sentence or f"Specified parameter {name} is not valid.")


def not_found(what: str, sentence: str = "") -> ApiError:
    return ApiError(f"Invalid{what}.NotFound", sentence or f"The specified {what} is not found.")


def signature_mismatch(string_to_sign: str) -> ApiError:
    """Return the error that lets the client compare.

    The Python core SDK reads what stands behind the colon: without one it fails, with the client's own string it
    reports a wrong secret. So no blank follows it.
    """
    return ApiError(
        "SignatureDoesNotMatch",
        f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}",
    )

"""Answers that show customers' HTML: in a frame that may neither run, nor send, nor reach our pages."""

from django.http import HttpResponse

from mailpush.mail.variables import VARIABLES
from templates_app import rendering

# Images of the web are shown, as the reader's mail program would.
FRAME_POLICY = (
    "sandbox; default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
SAMPLE = dict(
    zip(VARIABLES, ("zhang.san@example.com", "张三", "San", "先生", "1990-01-01", "13800000000"), strict=True)
)


def framed(html: str) -> HttpResponse:
    """Return HTML for a sandboxed frame."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = FRAME_POLICY
    response["Cache-Control"] = "no-store"
    return response


def preview(html: str, text: str) -> HttpResponse:
    """Return the body as a sample recipient would see it."""
    if html:
        prepared = rendering.prepare_html(html)
        return framed(rendering.compile(prepared, escape=True).render(SAMPLE))
    plain = rendering.compile(text, escape=False).render(SAMPLE)
    response = framed(plain)
    response["Content-Type"] = "text/plain; charset=utf-8"
    return response

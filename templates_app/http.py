"""Answers that show customers' HTML: in a frame that may neither run, nor send, nor reach our pages."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from mailpush.mail.variables import VARIABLES
from templates_app import rendering
from templates_app.models import ApprovedVersion, Template

# Images of the web are shown, as the reader's mail program would; whose server sees no more than that.
FRAME_POLICY = "sandbox; default-src 'none'; img-src data: https:; style-src 'unsafe-inline'; frame-ancestors 'self'"


def _sample(*values: str) -> dict[str, str]:
    return dict(zip(VARIABLES, values, strict=True))


# Whom a preview is for, by the value of `?sample=`: name, values.
SAMPLES = {
    "chinese": (
        _("张三, everything known"),
        _sample("zhang.san@example.com", "张三", "三丰", "先生", "1990/1/1", "13800000000"),
    ),
    "english": (
        _("Ann Smith, everything known"),
        _sample("ann@example.com", "Ann Smith", "Ann", "Ms", "1985-06-30", "+44 20 7946 0000"),
    ),
    "address": (_("only the address known"), _sample("reader@example.com", "", "", "", "", "")),
    "long": (_("very long values"), _sample(f"{'long' * 15}@example.com", *["Wolfeschlegelsteinhausen"] * 5)),
}
FIRST_SAMPLE = "chinese"


def sample_of(request: HttpRequest) -> str:
    """Return which sample the visitor wants."""
    wanted = request.GET.get("sample", "")
    return wanted if wanted in SAMPLES else FIRST_SAMPLE


def values_of(sample: str) -> Mapping[str, str]:
    return SAMPLES[sample][1]


def rendered_line(source: str, sample: str) -> str:
    """Return a subject as the sample recipient sees it."""
    return rendering.one_line(rendering.compile(source, escape=False).render(values_of(sample)))


def rendered_text(source: str, sample: str) -> str:
    """Return a text part as the sample recipient sees it."""
    return rendering.compile(source, escape=False).render(values_of(sample))


def framed(content: Template | ApprovedVersion, sample: str) -> HttpResponse:
    """Return the body as the sample recipient sees it, for a sandboxed frame."""
    html = content.prepared_html if isinstance(content, Template) else content.html
    if html:
        response = HttpResponse(rendering.compile(html, escape=True).render(values_of(sample)))
    else:
        text = content.plain_text if isinstance(content, Template) else content.text
        response = HttpResponse(rendered_text(text, sample), content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = FRAME_POLICY
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-store"
    return response

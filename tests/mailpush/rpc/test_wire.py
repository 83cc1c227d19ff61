"""Reading what stands percent-encoded in a request."""

from urllib.parse import quote_plus, unquote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from mailpush.rpc.wire import unquoted


def answer(decode, text):
    try:
        return decode(text)
    except UnicodeDecodeError:
        return UnicodeDecodeError


@given(st.text("%+=_ 0aEF9g.\r\n\té你") | st.text())
@example("%3D%0A=%0d%20 \n")
@example("%E4%BD")
@example("a%%41=\r\n")
def test_reads_what_the_standard_library_reads(text):
    assert answer(unquoted, text) == answer(lambda text: unquote_plus(text, errors="strict"), text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_reads_what_was_encoded(text):
    assert unquoted(quote_plus(text)) == text

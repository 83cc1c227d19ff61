"""Whole mails: what a reader's program makes of their attachments."""

from email import message_from_bytes, policy

import pytest

from mailpush.mail.post import Attachment, Post, written


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("a.PNG", "image/png"),
        ("a", "application/octet-stream"),
        ("a.csv.gz", "application/octet-stream"),  # text it will be, when it is unpacked
        ("a.tar.gz", "application/octet-stream"),
        ("a.eml", "application/octet-stream"),  # as a message it may not be base64: RFC 2046 section 5.2.1
        ("data:text/ü;,.pdf", "application/pdf"),
    ],
)
def test_an_attachment_has_the_type_of_its_name(name, kind):
    post = Post("a@b.test", ["c@d.test"], "s", "t", attachments=[Attachment(name, b"From: x")])

    mail = message_from_bytes(written(post, message_id="<1@b.test>", timestamp=0), policy=policy.default)

    (attached,) = mail.iter_attachments()
    assert (attached.get_content_type(), attached.get_content()) == (kind, b"From: x")

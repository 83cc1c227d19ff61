"""Sends one mail with an attachment as `alibabacloud-dm20151123` does it: the file is uploaded first.

The SDK uploads to `https://upload.<endpoint>/` and nowhere else; `argv[2]` is where that name leads to here.
"""

import io
import json
import socket
import sys

from alibabacloud_dm20151123 import models
from alibabacloud_dm20151123.client import Client
from alibabacloud_tea_openapi.models import Config
from darabonba.runtime import RuntimeOptions

settings, bucket_address, letter = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
look_up = socket.getaddrinfo


def as_in_dns(host, *arguments, **options):
    return look_up(bucket_address if str(host).startswith("upload.") else host, *arguments, **options)


socket.getaddrinfo = as_in_dns
client = Client(Config(**settings, protocol="http"))
client._open_platform_endpoint = settings["endpoint"]
attachment = models.SingleSendMailAdvanceRequestAttachments(
    attachment_name="发票.txt", attachment_url_object=io.BytesIO(b"one\0two" * 1000)
)
request = models.SingleSendMailAdvanceRequest().from_map(letter)
request.attachments = [attachment]
print(json.dumps(client.single_send_mail_advance(request, RuntimeOptions(ignore_ssl=True)).body.to_map()))

"""Calls through `aliyun-python-sdk-core`, everything in the query string of a POST."""

import json
import sys

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import RpcRequest

settings = json.loads(sys.argv[1])
host, port = settings["endpoint"].split(":")
client = AcsClient(settings["access_key_id"], settings["access_key_secret"], "cn-hangzhou", port=int(port))
client.add_endpoint("cn-hangzhou", "Dm", host)


def text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


for line in sys.stdin:
    wanted = json.loads(line)
    request = RpcRequest("Dm", "2015-11-23", wanted["action"], "dm")
    request.set_method(wanted.get("method", "POST"))
    request.set_accept_format("JSON")
    for name, value in wanted["params"].items():
        request.add_query_param(name, text(value))
    try:
        answer = {"ok": json.loads(client.do_action_with_exception(request))}
    except (ServerException, ClientException) as error:
        code, message = error.get_error_code(), error.get_error_msg()
        answer = {"error": {"type": type(error).__name__, "code": code, "message": message}}
    print(json.dumps(answer), flush=True)

"""Calls through `alibabacloud-dm20151123`, any version: a call per line of input, its answer per line of output."""

import json
import sys

from alibabacloud_dm20151123 import client as clients
from alibabacloud_dm20151123 import models
from alibabacloud_tea_openapi.models import Config

settings = json.loads(sys.argv[1])
algorithm = settings.pop("signature_algorithm", None)
client = clients.Client(Config(**settings, protocol="http"))
if algorithm:  # the oldest versions do not know the name
    client._signature_algorithm = algorithm


METHODS = {name.replace("_", ""): name for name in dir(client) if not name.endswith(("_async", "_with_options"))}


def call(action, params):
    method = getattr(client, METHODS[action.lower()])
    make = getattr(models, f"{action}Request", None)
    return method(make().from_map(params)) if make else method()


for line in sys.stdin:
    wanted = json.loads(line)
    try:
        answer = {"ok": call(wanted["action"], wanted["params"]).body.to_map()}
    except Exception as error:  # noqa: BLE001 whatever an SDK raises is what the test looks at
        answer = {
            "error": {
                "type": type(error).__name__,
                "code": getattr(error, "code", ""),
                "message": str(getattr(error, "message", error)),
                "retry_after": getattr(error, "retry_after", None),
            }
        }
    print(json.dumps(answer), flush=True)

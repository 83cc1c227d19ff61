"""Our web server with the bare view (`bare_view`), as a process of its own."""

import django
from django.conf import settings

from mailpush.runtime.web import WORKERS, WebServer

if __name__ == "__main__":
    django.setup()
    settings.ROOT_URLCONF = "mailpush.runtime.benchmarks.bare_view"
    WebServer(str(settings.MAILPUSH_WEB_BIND), workers=WORKERS).run()

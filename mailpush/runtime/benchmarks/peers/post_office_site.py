"""A site of django-post_office's: makes its tables and mails, says "ready", and sends when it is told to.

Runs without our packages: `post_office_site.py HOST USER DATABASE SMTP-PORT MAILS PROCESSES`.
"""

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

AT_ONCE = 1000
TEXT = "Hello {name} ({nick}),\r\n\r\n" + "Here is what happened at our place this month. " * 20
ROW = '<tr><td style="padding:8px">An article about autumn</td><td><a href="https://shop.example/1">Read</a></td></tr>'
HTML = (
    f"<html><body><h1>Hello {{name}}!</h1><p>We reach you as {{nick}}, {{mobile}}.</p><table>{ROW * 22}</table></body>"
)


def main(host: str, user: str, database: str, port: int, mails: int, processes: int) -> None:
    settings.configure(
        DATABASES={
            "default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "USER": user, "NAME": database}
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        POST_OFFICE={"BATCH_SIZE": AT_ONCE, "THREADS_PER_PROCESS": 10, "LOG_LEVEL": 0, "MAX_RETRIES": 0},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        SECRET_KEY="of no use",  # noqa: S106
    )
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    for start in range(0, mails, AT_ONCE):
        _queue(range(start, min(start + AT_ONCE, mails)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    # Its lock file, so that two runs on one machine do not wait for each other.
    call_command("send_queued_mail", processes=processes, lockfile=str(Path.cwd() / f"post_office-{port}"), verbosity=0)


def _queue(numbers: range) -> None:
    from post_office import mail  # type: ignore[import-not-found]  # noqa: PLC0415 not one of our packages

    mail.send_many([_one(number) for number in numbers])


def _one(number: int) -> dict[str, object]:
    values = {"name": f"Ada {number}", "nick": f"阿达{number}", "mobile": f"+1 555 {number}"}
    return {
        "recipients": [f"reader-{number}@north.example"],
        "sender": "Example News <news@news.example.com>",
        "subject": f"Ada {number}, what is new in November",
        "message": TEXT.format(**values),
        "html_message": HTML.format(**values),
    }


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]))  # type: ignore[arg-type]

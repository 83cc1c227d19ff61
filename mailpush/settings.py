"""Django settings, read from the environment (README, section "Settings")."""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from mailpush.environment import DELIVERY_MODES, Environment
from mailpush.keys import kept_encryption_key, kept_secret_key
from mailpush.lib.pooled import Connection
from mailpush.places import Places
from mailpush.sandbox.ports import kept_ports
from mailpush.schedule import BEAT_SCHEDULE, TASK_ROUTES

env = Environment()
IS_TEST_RUN = "pytest" in sys.modules
BASE_DIR = Path(__file__).resolve().parent.parent

# ── Where things are ────────────────────────────────────────────────────────────────────────────
MAILPUSH_DATA_DIR = env.path("MAILPUSH_DATA_DIR", ".data")
if IS_TEST_RUN and not env.text("MAILPUSH_DATA_DIR"):  # never what `up` keeps; tests/conftest.py removes it
    MAILPUSH_DATA_DIR = Path(tempfile.mkdtemp(prefix="mailpush-"))
PLACES = Places(MAILPUSH_DATA_DIR)

DATABASE_URL = env.url("DATABASE_URL", "", "postgres", "postgresql")
MAILPUSH_REDIS_URL = env.url("MAILPUSH_REDIS_URL", PLACES.valkey_url, "redis", "rediss", "unix")
CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL",
    MAILPUSH_REDIS_URL.replace("unix://", "redis+socket://"),
    *("amqp", "amqps", "redis", "rediss", "redis+socket", "memory"),
)
MAILPUSH_STORAGE_URL = env.url("MAILPUSH_STORAGE_URL", "", "s3")
EMBEDDED_POSTGRES = not DATABASE_URL
EMBEDDED_VALKEY = PLACES.valkey_url == MAILPUSH_REDIS_URL

# ── Doors ───────────────────────────────────────────────────────────────────────────────────────
MAILPUSH_WEB_BIND = env.bind("MAILPUSH_WEB_BIND", "127.0.0.1:8000")
MAILPUSH_PUBLIC_URL = env.url(
    "MAILPUSH_PUBLIC_URL", f"http://localhost:{MAILPUSH_WEB_BIND.port}", "http", "https"
).rstrip("/")
PUBLIC_HOST = urlsplit(MAILPUSH_PUBLIC_URL).hostname or "localhost"
MAILPUSH_SUBMISSION_BIND = env.binds("MAILPUSH_SUBMISSION_BIND", "127.0.0.1:2587")
MAILPUSH_MX_BIND = env.bind("MAILPUSH_MX_BIND", "127.0.0.1:2526")
# What the submission door takes: attachments of 15 MB, which base64 makes a third larger; DirectMail's 100 recipients.
MAILPUSH_MAX_MESSAGE_BYTES = env.number("MAILPUSH_MAX_MESSAGE_BYTES", 22 * 2**20, lowest=65_536, highest=2**30)
MAILPUSH_MAX_RECIPIENTS = env.number("MAILPUSH_MAX_RECIPIENTS", 100, lowest=1, highest=10_000)
MAILPUSH_RECEIVED = env.choice("MAILPUSH_RECEIVED", "short", ("short", "client"))

# ── Delivery ────────────────────────────────────────────────────────────────────────────────────
MAILPUSH_DELIVERY = env.choice("MAILPUSH_DELIVERY", "sandbox", DELIVERY_MODES)
MAILPUSH_RELAYS = env.relays("MAILPUSH_RELAY_URL")
MAILPUSH_MX_PORT = env.number("MAILPUSH_MX_PORT", 0, lowest=0, highest=65535) or 25
MAILPUSH_DNS_SERVERS = env.name_servers("MAILPUSH_DNS_SERVERS")
MAILPUSH_MAIL_HOST = env.text("MAILPUSH_MAIL_HOST", f"mx01.{PUBLIC_HOST}").lower()
MAILPUSH_SPF_INCLUDE = env.text("MAILPUSH_SPF_INCLUDE", f"spf1.{PUBLIC_HOST}").lower()
MAILPUSH_OWNERSHIP_LABEL = env.text("MAILPUSH_OWNERSHIP_LABEL", "mailpush").lower()
MAILPUSH_SOURCE_IPS = env.pools("MAILPUSH_SOURCE_IPS")
MAILPUSH_WORKERS = env.number("MAILPUSH_WORKERS", PLACES.cores, lowest=1, highest=256)
if MAILPUSH_DELIVERY == "sandbox":  # what is said explicitly wins, here too
    SANDBOX_PORTS = PLACES.kept(kept_ports, PLACES.sandbox_ports)
    MAILPUSH_MX_PORT = SANDBOX_PORTS.smtp if not env.text("MAILPUSH_MX_PORT") else MAILPUSH_MX_PORT
    MAILPUSH_DNS_SERVERS = MAILPUSH_DNS_SERVERS or [("127.0.0.1", SANDBOX_PORTS.dns)]
if MAILPUSH_DELIVERY == "relay" and not MAILPUSH_RELAYS:
    raise ImproperlyConfigured("MAILPUSH_DELIVERY is relay, so MAILPUSH_RELAY_URL must say where to.")

# ── Secrets ─────────────────────────────────────────────────────────────────────────────────────
SECRET_KEY = env.text("SECRET_KEY") or PLACES.kept(kept_secret_key, PLACES.secret_key)
MAILPUSH_ENCRYPTION_KEYS = [
    key.strip()
    for key in (env.text("MAILPUSH_ENCRYPTION_KEYS") or PLACES.kept(kept_encryption_key, PLACES.encryption_key)).split(
        ","
    )
]
env.refuse_unknown()

# ── Django ──────────────────────────────────────────────────────────────────────────────────────
DEBUG = False
ALLOWED_HOSTS = sorted({PUBLIC_HOST, "localhost", "127.0.0.1", "[::1]"})
CSRF_TRUSTED_ORIGINS = [MAILPUSH_PUBLIC_URL]
ROOT_URLCONF = "mailpush.urls"
WSGI_APPLICATION = "mailpush.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True

INSTALLED_APPS = [
    "mailpush.runtime",
    "mailpush.sandbox",
    "mailpush.rpc",
    "stats",
    "sending",
    "templates_app",
    "recipients",
    "senders",
    "domains",
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
]

MIDDLEWARE = [
    "mailpush.middleware.TrackingDoorMiddleware",
    "mailpush.rpc.middleware.RpcDoorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "mailpush.middleware.ApiDoorMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.TenantMiddleware",
    "accounts.middleware.StaffSecondFactorMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "mailpush" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
                "mailpush.lib.pages.shell",
            ],
            "builtins": ["mailpush.lib.ui"],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {"default": dict(dj_database_url.parse(DATABASE_URL or PLACES.postgres_url))}
# A server that restarts leaves the pool with dead connections; they are noticed before they are used.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# A pool per process: reconnecting for each task costs the server milliseconds of CPU.
DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
    "connection_class": Connection,
    "min_size": 0,
    "max_size": 40,
    "timeout": 30,
    "max_idle": 60,
}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": MAILPUSH_REDIS_URL,
        "KEY_PREFIX": "mailpush",
    }
}

# ── Sign-up, login, second factor ───────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/console/"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False  # link scanners GET
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True  # one address a user, changed once the new one is proved
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True  # "your password was changed"; the audit log listens here, too
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(MAILPUSH_PUBLIC_URL).scheme
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "mailpush"
MFA_ADAPTER = "accounts.adapters.SecondFactorAdapter"
# A passkey needs https, save on localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = PUBLIC_HOST == "localhost"

# ── Safe by default ─────────────────────────────────────────────────────────────────────────────
HTTPS = MAILPUSH_PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 3600 * 24 * 365 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"  # our own sandboxed previews of customers' HTML
SILENCED_SYSTEM_CHECKS = [
    *("security.W005", "security.W021"),  # HSTS for sub-domains and browsers' lists: for the owner of the domain to say
    "security.W008",  # redirecting to HTTPS: the proxy's work
    "security.W019",  # frames: see above
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        # Elements styled by the page scripts (charts, editor) carry style attributes.
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF, "data:"],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "frame-ancestors": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # a template body of 1 MB, url-encoded
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "mailpush.lib.files.TemporaryUploads",
]
LIST_UPLOAD_MAX_BYTES = 200 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

# ── Languages and time ──────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "mailpush" / "locale"]
FORMAT_MODULE_PATH = "mailpush.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# ── Files ───────────────────────────────────────────────────────────────────────────────────────
STATIC_URL = "/static/"
STATIC_ROOT = PLACES.static
STATICFILES_DIRS = [BASE_DIR / "mailpush" / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "mailpush.runtime.npm.PackageFinder",
]
STORAGES = {
    "default": PLACES.file_storage(MAILPUSH_STORAGE_URL),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"  # nothing is collected for tests
        if IS_TEST_RUN
        else "mailpush.runtime.assets.AssetStorage"
    },
}

# ── Mail of the platform itself ─────────────────────────────────────────────────────────────────
EMAIL_BACKEND = "sending.backend.EmailBackend"
DEFAULT_FROM_EMAIL = f"mailpush <no-reply@{PUBLIC_HOST}>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# ── Celery ──────────────────────────────────────────────────────────────────────────────────────
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE
CELERY_BEAT_MAX_LOOP_INTERVAL = 1  # seconds; lanes are woken every second
CELERY_TASK_ROUTES = TASK_ROUTES
CELERY_TASK_DEFAULT_QUEUE = "background"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Tasks that deliver only hand lanes to the threads that work them, which a pool of processes would not let finish.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": int(timedelta(hours=1).total_seconds()),
    "socket_connect_timeout": 2,  # an unreachable broker costs a wake-up, never an answer
    "socket_timeout": 10,
    "max_retries": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"

# ── REST API ────────────────────────────────────────────────────────────────────────────────────
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.bodies.Json"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.Schema",
    "EXCEPTION_HANDLER": "accounts.api.errors.answer",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mailpush",
    "VERSION": "1",
    "DESCRIPTION": (BASE_DIR / "accounts" / "api" / "description.md").read_text(),
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SCHEMA_COERCE_PATH_PK": False,
    "COMPONENT_SPLIT_REQUEST": False,
    "COMPONENT_SPLIT_PATCH": True,
    "SERVERS": [{"url": MAILPUSH_PUBLIC_URL}],
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}},
    "ENUM_NAME_OVERRIDES": {
        "MessageStatus": "sending.models.Status",
        "AcceptedStatus": ["queued", "suppressed"],
        "BatchStatus": "sending.models.Batch.Status",
        "DomainStatus": "domains.models.Domain.Status",
        "ImportStatus": "recipients.models.Import.Status",
        "TemplateStatus": "templates_app.models.Template.Status",
        "WebhookCallStatus": "sending.models.WebhookCall.Status",
        "Decision": ["approved", "rejected"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.schema.close_shapes",
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stream": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stream"], "level": "INFO"},
    "loggers": {
        "celery.app.trace": {"level": "WARNING"},  # a line per task says nothing
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

if IS_TEST_RUN:
    # Hashing dominates tests that log in; strength is not what they test.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

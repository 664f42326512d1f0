"""Django settings of every process. Values come from cms_project.environment; there is no debug mode."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from kombu import Exchange, Queue

from cms_project import environment, logs

django_stubs_ext.monkeypatch()  # `Lookup[Any]` and the like work at run time

ENVIRONMENT = environment.current_or_exit()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = ENVIRONMENT.data_dir
SECURE = not ENVIRONMENT.is_development  # TLS in front of us: secure cookies, HSTS

DEBUG = False  # also in development: debug pages show settings and local variables
SECRET_KEY = ENVIRONMENT.secret_key
SECRET_KEY_FALLBACKS = list(ENVIRONMENT.secret_key_fallbacks)  # former ones: what they signed still counts
KEY_RING = ENVIRONMENT.key_ring  # (id, 32 bytes) pairs, the first one active; used by accounts.keyring alone
PUBLIC_URL = (
    ENVIRONMENT.public_url
)  # links in mails and claims are built from this, never from the Host header
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
IDLE_KEYS_DISABLED_AFTER_DAYS = ENVIRONMENT.idle_keys_disabled_after_days
PREVIEW_KEY_ROTATION_DAYS = ENVIRONMENT.preview_key_rotation_days
METRICS_ALLOWED_NETWORKS = ENVIRONMENT.metrics_allowed_networks
API_V1_LIFE = ENVIRONMENT.api_v1_life

ROOT_URLCONF = "cms_project.urls"
WSGI_APPLICATION = "cms_project.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False  # a redirect that is built from the path was an open redirect before

INSTALLED_APPS = [
    "cms_project",
    "accounts",
    "content",
    "previews",
    "webhooks",
    "cms_project.apps.QuillkeepAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "guardian",
    "django_otp",
    "axes",
    "corsheaders",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "django_prose_editor",
    "js_asset",
]

MIDDLEWARE = [
    "cms_project.headers.HeadersMiddleware",
    "cms_project.middleware.RequestMiddleware",
    "cms_project.metrics.MetricsMiddleware",
    "cms_project.middleware.ProblemMiddleware",
    "accounts.limits.RateLimitMiddleware",
    "accounts.keys.usage.ScopeUseMiddleware",
    "cms_project.middleware.GuardMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "cms_project.middleware.SunsetMiddleware",
    "cms_project.pages.Sessions",
    "django.middleware.common.CommonMiddleware",
    "cms_project.entry_forms.EntryFormMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "cms_project.pages.Authentication",
    "cms_project.pages.LiveSessions",
    "cms_project.pages.SecondFactors",
    "cms_project.pages.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "cms_project.lockdown_gate.LockdownMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "accounts.environments.shown",
            ]
        },
    }
]

# --- Data
# -----------------------------------------------------------------------------------------------------------


# A server that is gone without a word (its host lost power, a cable) is noticed in eleven seconds. The kernel alone
# takes a quarter of an hour, or two hours while a query waits, and as long nobody would be answered.
_NOTICED = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def _database(config: dict[str, Any], *, options: str) -> dict[str, Any]:
    """Return a Django database from a parsed URL, with settings that every connection starts with."""
    return {**config, "CONN_MAX_AGE": 0, "OPTIONS": {**_NOTICED, "options": options, **config["OPTIONS"]}}


# `delivery` can't write even where its role could; wsgi.py gives the web process its connection pools.
DATABASES = {
    "default": _database(
        ENVIRONMENT.database,
        options="-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
    ),
    "delivery": _database(
        ENVIRONMENT.delivery_database, options="-c default_transaction_read_only=on -c statement_timeout=5s"
    ),
}
if ENVIRONMENT.owner_database is not None:
    DATABASES["owner"] = _database(ENVIRONMENT.owner_database, options="-c lock_timeout=10s")
DATABASE_ROUTERS = ["cms_project.router.OwnerMigrates"]

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENVIRONMENT.valkey_url,
        "KEY_PREFIX": "quillkeep",
        "TIMEOUT": 300,
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}
VALKEY_URL = ENVIRONMENT.valkey_url

SESSION_ENGINE = "accounts.sign_in.session_store"  # a copy of the table opens no session
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True

# --- Work outside of requests
# ---------------------------------------------------------------------------------------

CELERY_BROKER_URL = ENVIRONMENT.broker_url
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "quillkeep:celery:", "visibility_timeout": 3600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_ACCEPT_CONTENT = ["json"]  # never pickle: a message would be code
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
# A task is a wake-up: the database knows what is due, and the schedule asks again in seconds. A message that is still
# unanswered when the broker goes away would take the whole worker with it (kombu fails to give it back).
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # for those that say `acks_late`
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 30 * 60
# Each with an exchange of its own: on a shared one every message would reach all of them.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name)
    for name in ("log", "default", "index", "webhooks", "receipts", "backups")
]
CELERY_TASK_DEFAULT_EXCHANGE = CELERY_TASK_DEFAULT_ROUTING_KEY = "default"
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TIMEZONE = "UTC"
# Static on purpose: a schedule in the database could be edited into running any task.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "seal-log": {"task": "accounts.seal", "schedule": 2.0, "options": {"queue": "log", "expires": 10}},
    "flush-key-usage": {"task": "accounts.flush_key_usage", "schedule": 60.0, "options": {"expires": 60}},
    "send-mails": {"task": "accounts.send_mails", "schedule": 5.0, "options": {"expires": 10}},
    "move-to-active-key": {
        "task": "accounts.move_to_active_key",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "disable-idle-keys": {
        "task": "accounts.disable_idle_keys",
        "schedule": crontab(hour="4", minute="7"),
    },
    "raise-alerts": {
        "task": "accounts.raise_alerts",
        "schedule": 5.0,
        "options": {"queue": "log", "expires": 10},
    },
    "send-alerts": {"task": "accounts.send_alerts", "schedule": 10.0, "options": {"expires": 10}},
    "build-indexes": {"task": "content.index", "schedule": 5.0, "options": {"queue": "index", "expires": 5}},
    "rebuild-documents": {
        "task": "content.rebuild",
        "schedule": 5.0,
        "options": {"queue": "index", "expires": 5},
    },
    "erase-due-entries": {
        "task": "content.erase_due",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 600},
    },
    "verify-log": {
        "task": "accounts.verify_log",
        "schedule": crontab(minute="7"),
        "options": {"expires": 1800},
    },
    "keep-head": {
        "task": "accounts.keep_head",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 600},
    },
    "stream-log": {"task": "accounts.stream_log", "schedule": 2.0, "options": {"expires": 5}},
    "record-reads": {
        "task": "accounts.record_reads",
        "schedule": 10.0,
        "options": {"queue": "log", "expires": 10},
    },
    "archive-log": {
        "task": "accounts.archive_log",
        "schedule": crontab(hour="4", minute="41"),
        "options": {"queue": "index", "expires": 6 * 60 * 60},
    },
    "keep-preview-keys": {"task": "previews.keep_keys", "schedule": 600.0, "options": {"expires": 600}},
    "keep-preview-register": {"task": "previews.keep_register", "schedule": 5.0, "options": {"expires": 5}},
    "probe-preview-sites": {
        "task": "previews.probe",
        "schedule": crontab(hour="5", minute="23"),
        "options": {"expires": 3600},
    },
    "forget-old-previews": {"task": "previews.forget_old", "schedule": crontab(hour="3", minute="29")},
    "fan-out-webhooks": {
        "task": "webhooks.fan_out",
        "schedule": 1.0,
        "options": {"queue": "log", "expires": 5},
    },
    "drain-webhooks": {
        "task": "webhooks.drain",
        "schedule": 2.0,
        "options": {"queue": "webhooks", "expires": 5},
    },
    "send-webhook-mails": {"task": "webhooks.send_mails", "schedule": 10.0, "options": {"expires": 10}},
    "keep-webhook-secrets": {"task": "webhooks.keep_secrets", "schedule": 60.0, "options": {"expires": 60}},
    "forget-old-webhooks": {"task": "webhooks.forget_old", "schedule": crontab(hour="3", minute="37")},
    "act-on-receipts": {
        "task": "webhooks.carry_out_due",
        "schedule": 5.0,
        "options": {"queue": "receipts", "expires": 5},
    },
    "forget-receipts": {
        "task": "webhooks.forget_receipts",
        "schedule": crontab(hour="3", minute="41"),
        "options": {"expires": 3600},
    },
    "watch-caches": {"task": "content.watch_caches", "schedule": 30.0, "options": {"expires": 30}},
    "keep-backups": {
        "task": "content.keep_backups",
        "schedule": 300.0,
        "options": {"queue": "backups", "expires": 300},
    },
    "erase-submissions": {
        "task": "content.erase_submissions",
        "schedule": crontab(minute="19"),
        "options": {"expires": 3000},
    },
    "clear-ended-sessions": {
        "task": "cms_project.clear_ended_sessions",
        "schedule": crontab(hour="3", minute="17"),
    },
}

# --- Who is there
# ---------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "accounts.sign_in.backends.PasswordBackend"]
PASSWORD_HASHERS = ["accounts.sign_in.passwords.PatientArgon2Hasher"]  # Argon2id; no other hash is accepted
RESOURCE_DIRECTORY = "content.directory.ContentDirectory"  # keys of collections and fields for accounts
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

AXES_HANDLER = "accounts.sign_in.lockout.Handler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "username", "ip_address"]
AXES_FAILURE_LIMIT = (
    10  # of one account from one address; accounts.sign_in.lockout allows multiples for each alone
)
AXES_USERNAME_CALLABLE = "accounts.sign_in.lockout.counted_name"
AXES_COOLOFF_TIME = 0.25  # hours; a lock without end would let anybody lock out anybody
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_SENSITIVE_PARAMETERS = ["password", "repeated", "otp", "code", "token", "credential"]
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # the log of the house has who signed in
AXES_ENABLE_ADMIN = False
REFUSED_SIGN_IN_SECONDS = 0.5  # more than any of the ways to refuse one takes
AXES_CLIENT_IP_CALLABLE = "accounts.sign_in.lockout.counted_address"  # of IPv6 the network

ANONYMOUS_USER_NAME = None  # anonymous is a principal, not a row
GUARDIAN_MONKEY_PATCH_USER = False  # `has_perm` asks accounts.access, nothing else
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # its backend is left out on purpose, for the same reason

# --- API
# ------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],  # each view names the kinds of credential that it takes
    "DEFAULT_PERMISSION_CLASSES": ["accounts.access.HoldsGrant"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.limits.Throttle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cms_project.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "cms_project.openapi.Schema",
    "EXCEPTION_HANDLER": "cms_project.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "FORMAT_SUFFIX_KWARG": None,
    "URL_FORMAT_OVERRIDE": None,
    "URL_FIELD_NAME": "_url",
    "DATETIME_FORMAT": "iso-8601",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Quillkeep",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [  # ours come after the library's own, which writes the components anew
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cms_project.openapi.add_problem",
        "content.openapi.add_collections",
        "content.openapi.add_forms",
        "cms_project.openapi.add_life",
    ],
}

# --- The browser
# ----------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "report-uri": ["/api/v1/csp-reports"],  # and over TLS `report-to`: cms_project.headers
    }
}
CORS_ALLOWED_ORIGINS = list(ENVIRONMENT.cors_allowed_origins)
CORS_ALLOW_CREDENTIALS = False
# Not for previews: a site's server asks there, and a token has no business in a script of a page.
CORS_URLS_REGEX = r"^/api/v1/(content|forms)/|^/api/v1/(graphql|openapi\.json)$"
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST"]
CORS_ALLOW_HEADERS = ["authorization", "content-type", "if-none-match"]
CORS_EXPOSE_HEADERS = [
    "deprecation",
    "etag",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "sunset",
    "x-request-id",
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "cms_project.entry_forms.csrf_failure"

SECURE_CONTENT_TYPE_NOSNIFF = True
# Not "no-referrer": with it browsers send `Origin: null` with every form, which the CSRF check must refuse.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 63_072_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked by probes inside the network
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Strict"
# The prefix makes browsers refuse the cookie from a subdomain or without TLS, so it can't be planted. With the name of
# the environment in them, two behind one host don't take each other's.
COOKIE_NAME = f"{'__Host-' if SECURE else ''}{{}}-{ENVIRONMENT.name}"
SESSION_COOKIE_NAME = COOKIE_NAME.format("session")
CSRF_COOKIE_NAME = COOKIE_NAME.format("csrf")
MESSAGE_STORAGE = "cms_project.pages.MessageStorage"

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes; API bodies have the same limit in cms_project.parsers
# The form of an entry may be larger for people who are signed in: content.admin.whole_form.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4000  # a collection of a hundred fields has more than two thousand
DATA_UPLOAD_MAX_NUMBER_FILES = 20

# --- Files, language, mail, log
# -------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = (
    ENVIRONMENT.static_dir or DATA_DIR / "static" if SECURE else None
)  # filled by collectstatic; development serves from the packages
WHITENOISE_USE_FINDERS = ENVIRONMENT.is_development
# Else a file that is edited is sent with the length that it had at the start: cut off in the middle.
WHITENOISE_AUTOREFRESH = ENVIRONMENT.is_development
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "cms_project.static_files.StaticFiles"
        if SECURE
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

AUDIT_RETENTION_DAYS = ENVIRONMENT.audit_retention_days  # None: the log keeps everything
AUDIT_HEAD_TO = ENVIRONMENT.audit_head_to
AUDIT_STREAM_TO = ENVIRONMENT.audit_stream_to
EGRESS_ALLOWED_NETWORKS = ENVIRONMENT.egress_allowed_networks
EGRESS_ALLOWED_HOSTS = ENVIRONMENT.egress_allowed_hosts  # (): every public one
EGRESS_ALLOWED_PORTS = ENVIRONMENT.egress_allowed_ports  # (): those of https
PURGE_URLS = ENVIRONMENT.purge_urls  # caches in front that are told what changed

BACKUPS = ENVIRONMENT.backups

LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = ["cms_project.formats"]
USE_TZ = True
TIME_ZONE = "UTC"

vars().update(ENVIRONMENT.email)
SECURITY_ALERT_TO = ENVIRONMENT.security_alert_to  # who is told of alerts besides those who administer
SECURITY_ALERT_THRESHOLDS = ENVIRONMENT.security_alert_thresholds  # rule → other threshold; 0: off
DEFAULT_FROM_EMAIL = SERVER_EMAIL = f"Quillkeep <noreply@{urlsplit(PUBLIC_URL).hostname}>"
EMAIL_TIMEOUT = 10

LOGGING_CONFIG = "cms_project.logs.configure"
LOGGING = logs.config(readable=ENVIRONMENT.is_development)

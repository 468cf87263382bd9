"""Every setting, in one file. What differs from place to place is read from the environment (docs/deploying)."""

import json
import os
import re
import sys
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

from sagaproject.data import ROOT, Unusable, data_dir, redis_url, secret_key
from sagaproject.database import database


def listed(name: str, default: str = "") -> list[str]:
    """Read a comma-separated variable."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def installed(name: str) -> list[str]:
    """Read a comma-separated variable that names modules; ImproperlyConfigured for one that is not there."""
    modules = listed(name)
    for module in modules:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ImproperlyConfigured(
                f"{name} names {module}, which cannot be found; put the folder that holds it on PYTHONPATH,"
                " or start from there."
            )
    return modules


def switched_on(name: str) -> bool:
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def number(name: str) -> float:
    """Read a variable that is a number."""
    try:
        return float(os.environ[name])
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, as 30 or 0.5.") from None


def port(name: str) -> int:
    """Read a variable that is a port."""
    value = os.environ[name].strip()
    if not re.fullmatch(r"[0-9]{1,5}", value) or not 0 < int(value) < 65536:
        raise ImproperlyConfigured(f"{name} must be a port, as 587.")
    return int(value)


def document(name: str) -> dict[str, Any]:
    """Read a variable that is a JSON object."""
    try:
        found = json.loads(os.environ.get(name) or "{}")
    except ValueError as wrong:
        raise ImproperlyConfigured(f"{name} is not JSON: {wrong}") from None
    if not isinstance(found, dict):
        raise ImproperlyConfigured(f"{name} must be a JSON object.")
    return found


#: Whether this process serves until it is told to stop, as a worker or the clock.
STAYS = sys.argv[1:3] in (["saga", "worker"], ["saga", "clock"])
BASE_DIR = ROOT
try:
    DATA_DIR = data_dir()
except Unusable as wrong:
    raise ImproperlyConfigured(str(wrong)) from wrong
DEBUG = switched_on("SAGADESK_DEBUG")
SECRET_KEY = secret_key(DATA_DIR)
ALLOWED_HOSTS = listed("SAGADESK_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")

#: Other origins (https://desk.example.org) that may post and open the live socket. The host asked for always may.
CSRF_TRUSTED_ORIGINS = listed("SAGADESK_ORIGINS")

INSTALLED_APPS = [
    # Its modules are loaded with the URLs, which only the web needs: workers start sooner without.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rq",
    # Neither daphne nor channels: they would only replace runserver, and cost every worker the import of Twisted.
    "sagas",
    "participants",
    *installed("SAGADESK_APPS"),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "sagaproject.middleware.content_security_policy",
    "sagaproject.middleware.no_nul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "sagaproject.urls"
ASGI_APPLICATION = "sagaproject.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates" / "project"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
#: Only for a proxy that serves the files itself (``collectstatic``); else ``asgi`` does, straight from the apps.
STATIC_ROOT = os.environ.get("SAGADESK_STATIC_ROOT")

# The database is the truth, Redis only carries nudges.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": database(
        os.environ.get("DATABASE_URL") or "sqlite:///" + quote(str(DATA_DIR / "db.sqlite3")),
        # The web process has its own from asgi: elsewhere, a request's connection would outlive its thread.
        max_age=int(os.environ.get("SAGADESK_CONN_MAX_AGE") or (600 if STAYS else 0)),
    )
}
REDIS_URL = redis_url(DATA_DIR)
#: Where Redis is; the queue of every handler is added to it by ``sagas``.
RQ_QUEUES = {
    "default": {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer", "DEFAULT_TIMEOUT": 360}
}
RQ_SHOW_ADMIN_LINK = False  # its pages in the admin would be open to all staff

#: SAGADESK_LEASE and its like: see sagas.conf.Settings for what each means.
SAGAS = {
    name: number(f"SAGADESK_{name}")
    for name in [
        *("LEASE", "CONCURRENCY", "PREFETCH", "BUDGET", "MAX_JOBS", "CLOCK", "ALIVE", "UNSERVED"),
        *("ALERT_AFTER", "ALERT_AGAIN", "BEHIND"),
    ]
    if os.environ.get(f"SAGADESK_{name}")
} | {
    "ELSEWHERE": listed("SAGADESK_ELSEWHERE"),
    "RUN_QUEUES": listed("SAGADESK_RUN_QUEUES"),
    "SEARCHABLE": listed("SAGADESK_SEARCHABLE", "order_id,customer_id"),
    "HTTP": document("SAGADESK_HTTP"),
    "CALLBACK_URL": os.environ.get("SAGADESK_CALLBACK_URL", ""),
    "ALERTS": document("SAGADESK_ALERTS"),
    "DESK_URL": os.environ.get("SAGADESK_DESK_URL", ""),
}

# By which server alerts are mailed, and from whom; what is not said is as Django has it.
if os.environ.get("SAGADESK_EMAIL_HOST"):
    EMAIL_HOST = os.environ["SAGADESK_EMAIL_HOST"]
if os.environ.get("SAGADESK_EMAIL_PORT"):
    EMAIL_PORT = port("SAGADESK_EMAIL_PORT")
if os.environ.get("SAGADESK_EMAIL_USER"):
    EMAIL_HOST_USER = os.environ["SAGADESK_EMAIL_USER"]
if os.environ.get("SAGADESK_EMAIL_PASSWORD"):
    EMAIL_HOST_PASSWORD = os.environ["SAGADESK_EMAIL_PASSWORD"]
if os.environ.get("SAGADESK_EMAIL_TLS"):
    EMAIL_USE_TLS = switched_on("SAGADESK_EMAIL_TLS")
if os.environ.get("SAGADESK_EMAIL_FROM"):
    DEFAULT_FROM_EMAIL = os.environ["SAGADESK_EMAIL_FROM"]

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Who may come in, and for how long.
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in [
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    ]
]
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "sagas.dashboard.errors.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

#: Behind a proxy that speaks TLS, and overwrites X-Forwarded-Proto.
HTTPS = switched_on("SAGADESK_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
#: What balancers ask, past whoever speaks TLS; there are no secrets in the answers, nor in the questions.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_NAME = "__Host-sagadesk" if HTTPS else "sagadesk"
CSRF_COOKIE_NAME = "__Host-sagadesk-csrf" if HTTPS else "sagadesk-csrf"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("SAGADESK_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        # Django's own handlers would say everything a second time.
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},  # a 404 is the client's business
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # so is a wrong Host
        "daphne": {"level": "WARNING"},
        # rq tells of each job, and a nudge is a job.
        "rq": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}

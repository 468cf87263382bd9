"""Turns a DATABASE_URL into Django's DATABASES entry, with the options that sagas rely on."""

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from sagaproject.data import ROOT
from sagas.databases import POSTGRES, SQLITE


def database(url: str, *, max_age: int) -> dict[str, Any]:
    """Describe the database at ``url``: ``sqlite:////PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``."""
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite":
            entry = _sqlite(parts)
        case "postgres" | "postgresql":
            entry = _postgres(parts)
        case scheme:
            raise ImproperlyConfigured(
                f"DATABASE_URL begins with {scheme or 'no scheme'!r}; use postgresql://… or sqlite:////…"
            )
    return {**entry, "CONN_MAX_AGE": max_age, "CONN_HEALTH_CHECKS": True}


def _sqlite(parts: SplitResult) -> dict[str, Any]:
    """Four slashes begin an absolute path; after three, it is relative to the checkout."""
    if parts.netloc or not parts.path.strip("/"):
        raise ImproperlyConfigured(
            "DATABASE_URL for SQLite is sqlite:////AN/ABSOLUTE/PATH, with four slashes"
        )
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ROOT / unquote(parts.path[1:]),
        "OPTIONS": dict(SQLITE),
    }


def _postgres(parts: SplitResult) -> dict[str, Any]:
    """Everything in the query goes to libpq as it is (sslmode=…, host=/a/socket/folder), before our defaults."""
    asked = dict(parse_qsl(parts.query))
    name = unquote(parts.path.strip("/"))
    if not name:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database: postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "HOST": asked.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": asked.pop("port", "") or _port(parts),
        "USER": asked.pop("user", "") or unquote(parts.username or ""),
        "PASSWORD": asked.pop("password", "") or unquote(parts.password or ""),
        "OPTIONS": {
            **POSTGRES,
            **asked,
            "options": f"{POSTGRES['options']} {asked.get('options', '')}".strip(),
        },
    }


def _port(parts: SplitResult) -> str:
    try:
        return str(parts.port or "")
    except ValueError:
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: in a name or a password, write / as %2F, : as %3A, @ as %40, # as %23"
        ) from None

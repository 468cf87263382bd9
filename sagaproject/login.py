"""The login: guessing a password is slowed down, per name and address, for people and for the admin alike."""

import hashlib
import logging
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from redis.exceptions import RedisError

from sagas import bell

log = logging.getLogger(__name__)

#: Attempts in a row that may fail, and the minutes after which they are forgotten.
ATTEMPTS, MINUTES = 10, 5


class Patient:
    """Counts attempts before it looks at them, so that many at once are no way around."""

    def clean(self) -> Any:
        """Check the password, unless it was guessed at too often; a right one clears the count."""
        key = _key(self.cleaned_data.get("username", ""), self.request)  # type: ignore[attr-defined]
        if _count(key) > ATTEMPTS:
            log.warning("too many attempts to log in as one user from one address")
            text = f"Too many attempts. Try again in {MINUTES} minutes."
            raise ValidationError(text, code="too_many_attempts")
        cleaned = super().clean()  # type: ignore[misc]
        _forget(key)
        return cleaned


class LoginForm(Patient, AuthenticationForm):
    """The desk's."""


class AdminLoginForm(Patient, AdminAuthenticationForm):
    """The admin's."""


def _key(username: str, request: Any) -> str:
    address = request.META.get("REMOTE_ADDR", "") if request else ""
    digest = hashlib.sha256(f"{address} {username.casefold()}".encode()).hexdigest()[:32]
    return f"sagadesk:login:{digest}"


def _count(key: str) -> int:
    """Return how many attempts there were lately, this one included. Without Redis nobody is kept out."""

    def ask(redis: Any) -> int:
        pipeline = redis.pipeline()
        pipeline.set(key, 0, ex=MINUTES * 60, nx=True)
        pipeline.incr(key)
        return int(pipeline.execute()[1])

    try:
        return bell.brief(ask)
    except RedisError:
        return 0


def _forget(key: str) -> None:
    try:
        bell.brief(lambda redis: redis.delete(key))
    except RedisError:
        log.info("attempts to log in could not be forgotten")

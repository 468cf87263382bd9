"""Who may call the API."""

import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

#: What a 401 asks for.
CHALLENGE = 'Bearer realm="sagadesk"'


class UnknownToken(Exception):
    """A bearer token of nobody, or of somebody who is not active."""

    challenge = f'{CHALLENGE}, error="invalid_token"'


class Token(models.Model):
    """A bearer token for the API. Only its hash is kept."""

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saga_tokens")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"token of {self.user}"

    @classmethod
    def issue(cls, user: Any) -> str:
        """Make a token for a user and return its text, which is shown only now."""
        text = "sd_" + secrets.token_urlsafe(32)
        cls.objects.create(digest=cls.digest_of(text), user=user)
        return text

    @classmethod
    def bearer(cls, authorization: str) -> Any:
        """Return the user for whom an ``Authorization`` header speaks; None if it holds no bearer token.

        Raises UnknownToken. Looked up by its hash: how long that takes tells nothing about the text.
        """
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = cls.objects.select_related("user").filter(digest=cls.digest_of(text.strip())).first()
        if token is None or not token.user.is_active:
            raise UnknownToken
        return token.user

    @staticmethod
    def digest_of(text: str) -> str:
        """Return what is kept of a token's text."""
        return hashlib.sha256(text.encode()).hexdigest()

"""Opens the desk for a run: an operator, a token, a session, and one that has expired. Prints them as JSON."""

import json
import os
import secrets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")

import django


def main() -> None:
    """Make them."""
    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore

    from participants.opening import seed
    from sagas.models import Token

    seed()
    operator = get_user_model().objects.create_superuser("operator", password=secrets.token_urlsafe())

    def session() -> SessionStore:
        made = SessionStore()
        made[SESSION_KEY] = str(operator.pk)
        made[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        made[HASH_SESSION_KEY] = operator.get_session_auth_hash()
        made.save()
        return made

    kept, expired = session(), session()
    gone = expired.session_key
    expired.delete()
    print(json.dumps({"token": Token.issue(operator), "session": kept.session_key, "expired": gone}))


if __name__ == "__main__":
    main()

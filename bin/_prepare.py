"""Brings the database up to date: migrations, the operator, the demos' stock and managers. Runs inside .venv."""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django
from _blame import own_lines
from django.core.exceptions import ImproperlyConfigured

try:
    django.setup()
except ImproperlyConfigured as wrong:
    sys.exit(f"Sagadesk cannot start: {wrong}")
except Exception as wrong:  # whatever the apps that somebody added may raise
    sys.exit(f"Sagadesk cannot start, since an app cannot be imported:\n\n{own_lines(wrong)}")

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command, get_commands
from django.db import connection

#: The password of whoever is made now, unless one is given.
FRESH = secrets.token_urlsafe(9)
#: Those of the demo who answer what waits for a manager. Two, since some of it takes two people.
MANAGERS = ("manager1", "manager2")


def people(names: Sequence[str], **how: bool) -> None:
    """Make users who are not there yet, and give all of them the password that the environment names."""
    users, given = get_user_model().objects, os.environ.get("SAGADESK_OPERATOR_PASSWORD")
    for name in names:
        user = users.filter(username=name).first()
        if user is None:
            users.create_user(name, password=given or FRESH, **how)
            told = "as given" if given else f"{FRESH}  (shown only now)"
            print(f"  {name:<10}password: {told}", flush=True)
        elif given and not user.check_password(given):
            user.set_password(given)
            user.save(update_fields=["password"])
            print(f"  {name:<10}password: now as given", flush=True)


print(f"  {'database':<10}{connection.vendor}: {connection.settings_dict['NAME']}", flush=True)
# An app that has no migrations yet gets its tables as they stand.
call_command("migrate", verbosity=0, interactive=False, run_syncdb=True)
people(["operator"], is_staff=True, is_superuser=True)
if "demo" in get_commands():
    call_command("demo", "seed", verbosity=0)
    people(MANAGERS)
    Group.objects.get(name="managers").user_set.add(*get_user_model().objects.filter(username__in=MANAGERS))

"""Brings the database up to date: migrations, the operator, the demo shop's stock. Runs inside .venv."""

import os
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django
from django.core.exceptions import ImproperlyConfigured

try:
    django.setup()
except ImproperlyConfigured as wrong:
    sys.exit(f"Sagadesk cannot start: {wrong}")

from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands
from django.db import connection


def operator() -> None:
    """Make the operator, or give him the password that the environment names."""
    users, given = get_user_model().objects, os.environ.get("SAGADESK_OPERATOR_PASSWORD")
    user = users.filter(username="operator").first()
    if user is None:
        password = given or secrets.token_urlsafe(9)
        users.create_superuser("operator", password=password)
        print(
            f"  {'operator':<10}password: {'as given' if given else password + '  (shown only now)'}",
            flush=True,
        )
    elif given and not user.check_password(given):
        user.set_password(given)
        user.save(update_fields=["password"])
        print(f"  {'operator':<10}password: now as given", flush=True)


print(f"  {'database':<10}{connection.vendor}: {connection.settings_dict['NAME']}", flush=True)
call_command("migrate", verbosity=0, interactive=False)
operator()
if "demo" in get_commands():
    call_command("demo", "seed", verbosity=0)

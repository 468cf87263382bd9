"""A participant of another project: an app of one module, and the settings of a process that runs nothing else."""

import os
from typing import Any

from sagaproject.database import database
from sagas import command

SECRET_KEY = "the florist's own"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    *("django.contrib.contenttypes", "django.contrib.auth", "django_rq", "sagas"),
    "tests.acceptance.florist",
]
if "DATABASE_URL" in os.environ:
    DATABASES = {"default": database(os.environ["DATABASE_URL"], max_age=600)}
    REDIS = {"URL": os.environ["REDIS_URL"], "SERIALIZER": "rq.serializers.JSONSerializer"}
    RQ_QUEUES = {"default": REDIS}


@command("OwnFlorist.Bind")
def bind(command: Any) -> dict[str, Any]:
    """Bind, here and nowhere else."""
    return {"flowers": command["flowers"], "settings": os.environ["DJANGO_SETTINGS_MODULE"]}

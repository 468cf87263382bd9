"""The switch: an app that, when it is ready, plants the bug that the environment names."""

import logging
import os

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from tests.bugs import catalogue

log = logging.getLogger(__name__)


class BugsConfig(AppConfig):
    """Last of the apps, so that all that a bug may touch is there."""

    name = "tests.bugs"

    def ready(self) -> None:
        """Plant the bug. Raises ImproperlyConfigured for a name that is none, Unfit for a bug that no longer fits."""
        name = os.environ.get("SAGADESK_BUG")
        if not name:
            return
        if name not in catalogue.BUGS:
            raise ImproperlyConfigured(
                f"SAGADESK_BUG={name} is no bug; there are {', '.join(catalogue.BUGS)}."
            )
        catalogue.BUGS[name].plant()
        log.warning("This process has a bug, on purpose: %s", name)

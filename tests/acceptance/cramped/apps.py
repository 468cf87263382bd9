"""A limit on SQLite's file for every connection of a process, as a full disk would be one."""

import os
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

#: How many pages its file may have.
PAGES = "CRAMPED_PAGES"


class CrampedConfig(AppConfig):
    """Nothing but a listener."""

    name = "tests.acceptance.cramped"

    def ready(self) -> None:
        """Limit every connection that is made from now on."""
        connection_created.connect(limit, dispatch_uid=PAGES)


def limit(connection: Any, **_: Any) -> None:
    """Limit a connection, if there is a limit."""
    pages = os.environ.get(PAGES)
    if pages and connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {int(pages)}")

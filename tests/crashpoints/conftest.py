"""One database for all deaths: the participants' tables are made once, and emptied between them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests.crashpoints import seams, shop


@pytest.fixture(scope="package")
def _tables(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        shop.make_tables()
        connection.close()


@pytest.fixture
def seamed(_tables: None, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Open the seams, on a database that has an operator; connections are kept, as workers keep theirs."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    connection.close()
    get_user_model().objects.create_superuser("crash", password="x", id=1)
    with seams.installed():
        yield
    connection.close()

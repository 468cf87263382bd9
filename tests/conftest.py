"""What all tests share: the servers, and how hard Hypothesis looks."""

import functools
import os
import shutil
from collections.abc import Iterator

import hypothesis
import pytest
import redis.utils
from django.conf import settings
from django.db import connections, transaction
from django.test import TransactionTestCase

from tests import servers
from tests.forgetting import forget_definitions

# What other projects have from the entry point.
pytest_plugins = ["sagas.testing.plugin", "pytester"]

# A mutant of the state machine survived 100 examples, and died in each run of 1,000.
hypothesis.settings.register_profile("ci", max_examples=1000, deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, not skip, what is about the other database only: it runs in that one's stage."""
    here = "postgresql" if settings.ON_POSTGRES else "sqlite"
    marks = {item: item.get_closest_marker("only_on") for item in items}
    elsewhere = [item for item, mark in marks.items() if mark and mark.args != (here,)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


#: What migrating made, which the tests leave as it is.
MADE = {"django_migrations", "django_content_type", "auth_permission"}


def _empty(case: TransactionTestCase) -> None:
    """Delete what a test left behind. Django would truncate every table and then finish migrating once more."""
    for alias in case._databases_names(include_mirrors=False):
        connection = connections[alias]
        tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - MADE)
        deletions = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]  # noqa: S608 - our own
        with transaction.atomic(using=alias), connection.cursor() as cursor:
            for sql in ["; ".join(deletions)] if connection.vendor == "postgresql" else deletions:
                cursor.execute(sql)


def _in_doubt(_: TransactionTestCase) -> bool:
    """Whether connections are made anew. Django would after each test; those that had no error are as good."""
    return any(connection.errors_occurred for connection in connections.all(initialized_only=True))


TransactionTestCase._fixture_teardown = _empty  # type: ignore[method-assign]
TransactionTestCase._should_reload_connections = _in_doubt  # type: ignore[method-assign]


# It reads the package's description again for each connection, which takes longer than to connect.
redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)


def pytest_unconfigure() -> None:
    shutil.rmtree(settings.FOLDER, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def redis_server() -> Iterator[str]:
    """A Redis for this run alone; settings.REDIS_URL points at it."""
    with servers.redis(settings.FOLDER) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL cluster for this run alone."""
    folder = settings.FOLDER / "postgres"
    folder.mkdir()
    with servers.postgres(folder) as url:
        yield url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """Start the database's server, if it has one, before pytest-django makes the test database."""
    if settings.ON_POSTGRES:
        request.getfixturevalue("postgres_server")


@pytest.fixture(autouse=True)
def _fresh_definitions() -> Iterator[None]:
    """The cache of pinned definitions must not outlive the test's database."""
    forget_definitions()
    yield
    forget_definitions()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Leave the test database to go with its server: dropping it would trip over threads that still hold it."""
    return True

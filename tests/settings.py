"""The project's settings, on servers of the tests' own.

SAGADESK_TEST_DATABASE chooses the database: sqlite (default) or postgres.
"""

import os

from tests.servers import postgres_url, redis_url, short_folder

#: One for each run of pytest. ``conftest`` starts the servers in it when the first test needs them, and removes it.
FOLDER = short_folder("sagadesk-test-")
ON_POSTGRES = os.environ.get("SAGADESK_TEST_DATABASE", "sqlite") == "postgres"

os.environ["SAGADESK_DATA"] = str(FOLDER)
os.environ["REDIS_URL"] = redis_url(FOLDER)
os.environ.pop("DATABASE_URL", None)
if ON_POSTGRES:
    os.environ["DATABASE_URL"] = postgres_url(FOLDER / "postgres")

from sagaproject.settings import *  # noqa: E402, F403 - the environment comes first

if not ON_POSTGRES:
    # A file, not memory: the tests' threads and processes write to it as they would in earnest.
    DATABASES["default"]["TEST"] = {"NAME": FOLDER / "test.sqlite3"}  # noqa: F405
    # No test survives a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
# Servers of tests do not wait for the disk, which the checks would find.
SILENCED_SYSTEM_CHECKS = ["sagas.W009"]

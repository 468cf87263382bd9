"""Runs everything that tells whether Sagadesk works.

That is the checks, all tests on SQLite, and those that touch the database on PostgreSQL.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from _setup import DEVELOPMENT, ROOT, VENV_PYTHON, install_system_packages, say, virtual_environment

#: What touches the database, and so runs on both kinds.
DATABASE_TESTS = ("tests/sagas", "tests/participants", "tests/acceptance")
NOTHING_COLLECTED = 5


def main() -> int:
    began, arguments = time.monotonic(), sys.argv[1:]
    print("Sagadesk's tests", flush=True)
    virtual_environment(DEVELOPMENT)
    _system_packages()
    results = {
        "checks": subprocess.run([VENV_PYTHON, ROOT / "bin" / "_check.py"], check=False).returncode,
        "sqlite": _pytest("sqlite", arguments),
        "postgres": _pytest("postgres", arguments),
    }
    print("\nSummary", flush=True)
    for name, code in results.items():
        say(name, "no test asked for" if code == NOTHING_COLLECTED else f"FAILED ({code})" if code else "ok")
    say("time", f"{(time.monotonic() - began) / 60:.1f} min")
    return _verdict(**results)


def _verdict(checks: int, sqlite: int, postgres: int) -> int:
    """Fail if anything did; a choice of tests may leave one of the databases out, but not both."""
    if sqlite == postgres == NOTHING_COLLECTED:
        return NOTHING_COLLECTED
    return 1 if checks or {sqlite, postgres} - {0, NOTHING_COLLECTED} else 0


def _system_packages() -> None:
    missing = {}
    if not shutil.which("chromium"):
        missing["chromium"] = "the browser tests drive it"
    if not shutil.which("initdb") and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing["postgresql"] = "the tests run on it, too"
    if missing:
        install_system_packages(missing)


def _pytest(database: str, arguments: list[str]) -> int:
    """Run pytest on one kind of database; on PostgreSQL only what DATABASE_TESTS names, or of that what is asked."""
    print(f"\n--- pytest on {database}", flush=True)
    asked = [word for word in arguments if (ROOT / word.split("::")[0]).exists()]
    if database == "postgres":
        arguments = [word for word in arguments if word not in asked or word.startswith(DATABASE_TESTS)]
        if not asked:
            arguments += [folder for folder in DATABASE_TESTS if (ROOT / folder).exists()]
        elif not set(asked) & set(arguments):
            return NOTHING_COLLECTED
    env = {**os.environ, "SAGADESK_TEST_DATABASE": database}
    env.setdefault("HYPOTHESIS_PROFILE", "ci")
    return subprocess.run(
        [VENV_PYTHON, "-m", "pytest", *arguments], cwd=ROOT, env=env, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

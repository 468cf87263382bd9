"""Runs the checks that need no test: named steps, two at a time; what a step prints is shown when it fails."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from _setup import DEVELOPMENT, ROOT, VENV, say, virtual_environment

STEPS = {
    "lint": "ruff check --output-format concise .",
    "format": "ruff format --check --output-format concise .",
    "types": "mypy",
    "floors": "lint-imports",
    "migrations": "python manage.py makemigrations --check --dry-run",
    "system": "python manage.py check --fail-level WARNING",
    "deploy": "python manage.py check --deploy --fail-level WARNING",
    "templates": "djlint templates --lint",
}


def main() -> int:
    virtual_environment(DEVELOPMENT)
    with tempfile.TemporaryDirectory() as data, ThreadPoolExecutor(2) as pool:
        env = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}", "SAGADESK_DATA": data}
        for name in ("DATABASE_URL", "SAGADESK_APPS", "SAGADESK_DEBUG"):  # the same answer everywhere
            env.pop(name, None)
        outcomes = list(pool.map(lambda step: _run(*step, env), STEPS.items()))
    return 0 if all(outcomes) else 1


def _run(name: str, command: str, env: dict[str, str]) -> bool:
    began = time.monotonic()
    more = {"SAGADESK_HTTPS": "1"} if name == "deploy" else {}  # as it is to be deployed
    words = command.split()
    done = subprocess.run(
        [VENV / "bin" / words[0], *words[1:]],
        cwd=ROOT,
        env={**env, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = "FAILED" if done.returncode else "ok"
    details = f"\n$ {command}\n{done.stdout}" if done.returncode else ""
    say(name, f"  {verdict:<7}{time.monotonic() - began:5.1f} s{details}")
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())

"""Kills a real process just before and just after every crash point, on each database, and checks what is recovered.

The paths are those of ``tests/crashpoints``. There the dying process is one thread of the tests; here it is a process
that ends where the point is, with whatever its threads were doing, and others go on from what it has left.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench import servers
from bench.machine import machine, sentence
from bench.report import Table

DATABASES = ("sqlite", "postgres")
Played = list[dict[str, Any]]


def main() -> int:
    asked = _arguments()
    chosen = DATABASES if asked.database == "both" else (asked.database,)
    began = time.monotonic()
    with servers.running() as started:
        started.migrate()
        about = {**machine(started.folder), "server": started.server_version()}
        print(f"  {sentence(about)}; {about['server']}\n", flush=True)
        played = {kind: list(_play(kind, started, asked.only)) for kind in chosen}
    seconds = round(time.monotonic() - began)
    table = _table(played)
    print(f"\n{table.text()}\n\n  {seconds} s")
    if asked.json:
        document = {"command": "crashpoints", "about": about, "seconds": seconds, "played": played}
        with open(asked.json, "w") as file:
            json.dump(document, file, indent=1)
    return 0 if all(_fine(paths) for paths in played.values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/crashpoints", description=__doc__)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument(
        "--only", metavar="NAME", default="", help="paths, or points, whose name has this in it"
    )
    parser.add_argument("--json", metavar="FILE", help="write every death and what was wrong after it")
    return parser.parse_args()


def _play(kind: str, started: servers.Servers, only: str) -> Iterator[dict[str, Any]]:
    """Yield what became of each path on a database, and print it."""
    with started.fresh(f"crash_{kind}", kind=kind, migrated=True) as (url, folder):
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
            "DATABASE_URL": url,
            "REDIS_URL": started.redis,
            "SAGADESK_DATA": str(folder),
            "SAGADESK_CONN_MAX_AGE": "600",
            "SAGADESK_LOG_LEVEL": "CRITICAL",
        }
        command = [sys.executable, "-m", "bench.deaths", only]
        with subprocess.Popen(
            command, cwd=servers.ROOT, env=env, text=True, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                path = json.loads(line)
                deaths, failed = len(path["deaths"]), [each for each in path["deaths"] if each["wrong"]]
                print(f"  {kind:<9} {path['name']:<45} {deaths:4} deaths, {len(failed)} failed", flush=True)
                for each in failed:
                    print(f"      {each['when']} {each['point']}: {'; '.join(each['wrong'])}", flush=True)
                yield path
        if process.returncode:
            raise SystemExit(f"bench.deaths ended with {process.returncode}")


def _table(played: dict[str, Played]) -> Table:
    """Count deaths by where they were."""
    rows = []
    for kind, paths in played.items():
        for when in ("before", "after"):
            deaths = [each for path in paths for each in path["deaths"] if each["when"] == when]
            failed = sum(bool(each["wrong"]) for each in deaths)
            names = {each["point"].partition(" (")[0] for each in deaths}
            rows.append([f"{kind}, {when}", str(len(paths)), str(len(names)), str(len(deaths)), str(failed)])
    return Table(("died", "paths", "points", "deaths", "failed"), rows)


def _fine(paths: Played) -> bool:
    return bool(paths) and not any(each["wrong"] for path in paths for each in path["deaths"])


if __name__ == "__main__":
    sys.exit(main())

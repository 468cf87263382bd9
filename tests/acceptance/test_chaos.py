"""Everything at once, for a minute: real processes, every kind of fault that is possible here, all invariants."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.acceptance

SECONDS = 30


def test_nothing_is_lost_and_nothing_happens_twice_whatever_dies(tmp_path: Path) -> None:
    database = "postgres" if settings.ON_POSTGRES else "sqlite"
    words = ["--minutes", str(SECONDS / 60), "--database", database, "--json", tmp_path / "found.json"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", *map(str, words)],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    found = json.loads((tmp_path / "found.json").read_text())
    assert sum(each["dose"] for each in found["doses"] if each["id"] == "F1"), said
    assert found["finished"][-1][1] > 0, "sagas came to their ends"
    (effects,) = (each["figures"] for each in found["verdicts"] if each["id"] == "I2")
    assert effects["functions"], said
    assert effects["children"], said
    assert sum(each["dose"] for each in found["doses"] if each["kind"].startswith("carrier: ")), said

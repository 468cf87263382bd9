"""A project of its own adopts Sagadesk as docs/adopting.md says, and keeps its settings; without the demos."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command

from sagas.api import urls as api_urls
from sagas.dashboard import urls as desk_urls
from tests.servers import postgres_url

ROOT: Path = settings.BASE_DIR
BLOCK = re.compile(r"```python\n# ([\w/]+\.py)(.*?)\n(.*?)```", re.DOTALL)
#: The project's own, where it is not what ``startproject`` writes: this database does not wait for the disk.
ON_POSTGRES = """
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "adopting"}}}}
DATABASES["default"] |= {{"HOST": "{host}", "USER": "sagadesk"}}
SILENCED_SYSTEM_CHECKS = ["sagas.W009"]
"""


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The page's project: what Django's own commands write, and each block of code in its place."""
    call_command("startproject", "mysite", str(tmp_path))
    (tmp_path / "shop").mkdir()
    call_command("startapp", "shop", str(tmp_path / "shop"))
    if settings.ON_POSTGRES:
        request.getfixturevalue("postgres_server")
        folder = settings.FOLDER / "postgres"
        with psycopg.connect(postgres_url(folder), autocommit=True) as connection:
            connection.execute("CREATE DATABASE adopting")
        with (tmp_path / "mysite" / "settings.py").open("a") as file:
            file.write(ON_POSTGRES.format(host=folder))
    for path, where, code in BLOCK.findall((ROOT / "docs" / "adopting.md").read_text()):
        with (tmp_path / path).open("a" if where == ", at its end" else "w") as file:
            file.write(code)
    return tmp_path


def test_a_project_adopts_sagadesk_as_it_is_printed(site: Path) -> None:
    shutil.copy(ROOT / "tests" / "sagas" / "adopted.py", site)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SAGADESK_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "adopted.py"],
        cwd=site,
        env={**env, "PYTHONPATH": str(ROOT), "REDIS_URL": settings.REDIS_URL},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_package_has_every_file_that_is_not_code() -> None:
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "sagas"
    ]
    taken = {path for pattern in given for path in (ROOT / "sagas").glob(pattern) if path.is_file()}
    folders = (ROOT / "sagas", *(ROOT / "sagas" / linked for linked in ("templates", "static")))
    there = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert {path for path in there - taken if path.suffix not in {".py", ".pyc"}} == set()
    assert {path.suffix for path in taken} == {".html", ".css", ".js", ".svg"}


def test_no_name_of_ours_is_one_that_a_project_may_have() -> None:
    names = [str(pattern.name) for pattern in (*desk_urls.urlpatterns, *api_urls.urlpatterns)]
    assert [name for name in names if not name.startswith(("saga-", "api-"))] == []
    folder = ROOT / "sagas" / "templates"
    templates = [str(path.relative_to(folder)) for path in folder.rglob("*.html")]
    assert [name for name in templates if not name.startswith(("sagas/", "admin/sagas/"))] == []


def test_no_script_or_style_knows_where_the_desk_is() -> None:
    files = [path for path in (ROOT / "sagas" / "static").rglob("*") if path.suffix in {".js", ".css"}]
    assert len(files) > 20
    assert [path.name for path in files if re.search(r"""["'`(]/\w""", path.read_text())] == []

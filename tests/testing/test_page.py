"""docs/testing-sagas.md is a small project: it runs as it is printed, with an app from elsewhere."""

import re
from pathlib import Path

import pytest
from django.conf import settings

PAGE = settings.BASE_DIR / "docs" / "testing-sagas.md"
FILE = re.compile(r"```python\n# (\S+\.py)\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.only_on("sqlite")  # which is what that pytest runs on


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name, text in FILE.findall(PAGE.read_text()):
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if path.parent.name != "tests":
            (path.parent / "__init__.py").touch()
    pytester.makeconftest('pytest_plugins = ["sagas.testing.plugin"]')
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
    monkeypatch.setenv("SAGADESK_APPS", "giftshop")
    monkeypatch.setenv("SAGADESK_DATA", str(pytester.path / "data"))
    monkeypatch.setenv("PYTHONPATH", f"{settings.BASE_DIR}:{pytester.path}")
    return pytester


def test_the_page_runs_as_it_is_printed(project: pytest.Pytester) -> None:
    told = project.runpytest_subprocess("-p", "no:valkey", "-p", "no:randomly", "--nomigrations")
    told.assert_outcomes(passed=8)


def test_the_broken_refund_of_the_page_is_told_as_it_is_printed(project: pytest.Pytester) -> None:
    shop = Path(project.path / "giftshop" / "sagas.py")
    text = shop.read_text()
    broken = text.replace('+ undo["cents"]', '+ undo["original_result"]["cents"]')
    assert broken != text
    shop.write_text(broken)
    told = project.runpytest_subprocess(
        "-p", "no:valkey", "-p", "no:randomly", "--nomigrations", "-k", "every_undo"
    )
    told.assert_outcomes(passed=3, failed=1)
    trace = re.search(r"^✗ charge: unknown, with effect\n.*?(?=^```)", PAGE.read_text(), re.M | re.S)
    assert trace
    told.stdout.fnmatch_lines(
        [f"*{line.strip()}*".replace("[", "[[]") for line in trace[0].splitlines() if line.strip()]
    )

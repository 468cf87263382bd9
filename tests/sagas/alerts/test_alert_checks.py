"""What is wrong with channels is said at the start, and what they do not take by ``saga check``."""

import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.utils import timezone

from sagas import checks
from sagas.alerts import telling
from sagas.models import Alert, Notice
from tests.shell import Run

DESK = {"DESK_URL": "https://desk.example"}


@pytest.fixture(autouse=True)
def pager(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the project's own."""

    async def later(message: Any) -> None: ...

    module = ModuleType("pager")
    vars(module).update(page=print, later=later, number=7)
    monkeypatch.setitem(sys.modules, "pager", module)
    return module


def found(settings: Any, **given: Any) -> list[CheckMessage]:
    settings.SAGAS = given
    return checks.check_alerts()


def test_channels_that_can_tell_and_lead_somewhere_are_passed_in_silence(settings: Any) -> None:
    channels = {
        "own": {"call": "pager.page"},
        "late": {"call": "pager.later"},
        "team": {"email": ["team@shop.example"]},
    }
    assert found(settings, ALERTS=channels, **DESK) == []
    assert found(settings) == [], "who tells nobody needs no address"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("pager.pages", 'pager.pages cannot be imported: ImportError: Module "pager" does not define'),
        ("pagger.page", "pagger.page cannot be imported: ModuleNotFoundError: No module named 'pagger'"),
        ("pager.number", "pager.number is not a function."),
    ],
)
def test_a_function_that_cannot_be_called_is_an_error(settings: Any, call: str, says: str) -> None:
    (message,) = found(settings, ALERTS={"own": {"call": call}}, **DESK)
    assert (message.id, message.is_serious()) == ("sagas.E016", True)
    assert message.msg.startswith(f"SAGAS['ALERTS']['own']: {says}")
    assert "def page(message)" in (message.hint or "")


@pytest.mark.parametrize(
    "channel",
    [
        {"email": ["team@shop.example"]},
        {"webhook": "https://chat.example/hooks/x"},
        {"call": "pager.page"},
    ],
)
def test_alerts_that_lead_nowhere_are_warned_of(settings: Any, channel: Any) -> None:
    (message,) = found(settings, ALERTS={"team": channel, "more": channel})
    assert (message.id, message.is_serious()) == ("sagas.W020", False)
    assert "SAGAS['DESK_URL'] is empty" in message.msg
    assert "https://desk.example" in (message.hint or "")


def test_impossible_settings_are_told_of_once(settings: Any) -> None:
    assert found(settings, ALERTS={"own": {"call": "page"}}) == []
    assert [message.id for message in checks.check_settings()] == ["sagas.E001"]


@pytest.mark.django_db
def test_saga_check_names_the_channels_that_keep_failing(run: Run, settings: Any) -> None:
    channel = {"call": "tests.sagas.alerts.listening.listen"}
    settings.SAGAS = {**settings.SAGAS, "ALERTS": {"team": channel, "chat": channel}}
    now = timezone.now()
    alert = Alert.objects.create(key="k", kind="clock", title="No clock is alive", opened_at=now)
    for channel, attempt in (("team", telling.FAILED), ("chat", 1)):
        Notice.objects.create(
            alert=alert,
            channel=channel,
            what="begun",
            number=1,
            made_at=now,
            due_at=now,
            attempt=attempt,
            error="no",
        )
    said = run("check").err
    assert "the channel team does not take what it is told; `saga alert try team` says why." in said
    assert "channel chat" not in said

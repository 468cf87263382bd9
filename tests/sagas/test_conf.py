"""Settings are typed, and an impossible one is refused by name."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from sagas.conf import ImpossibleSetting, read


def test_numbers_from_the_environment_become_what_they_count() -> None:
    read_back = read({"CONCURRENCY": 4.0, "LEASE": 2.5})
    assert (read_back.CONCURRENCY, read_back.LEASE) == (4, 2.5)
    assert isinstance(read_back.CONCURRENCY, int)
    assert read({"PREFETCH": 0.0}).PREFETCH == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"LEESE": 3}, "LEESE.*LEASE"),
        ({"LEASE": 0}, "above 0"),
        ({"LEASE": "long"}, "above 0"),
        ({"LEASE": True}, "above 0"),
        ({"LEASE": float("nan")}, "above 0"),
        ({"LEASE": float("inf")}, "above 0"),
        ({"CONCURRENCY": 0.5}, "whole number"),
        ({"PREFETCH": -1}, "above 0"),
        ({"PREFETCH": 0.5}, "whole number"),
        ({"PREFETCH": False}, "above 0"),
        ({"QUEUES": ["payment"]}, "must map"),
        ({"QUEUES": {"PaymentService": 3}}, r"\['PaymentService'\] must be a queue's name"),
        ({"QUEUES": {"PaymentService": "a b"}}, "without blanks and commas"),
        ({"QUEUES": {"PaymentService": "x" * 101}}, "1 to 100 characters"),
        ({"QUEUES": {"PaymentService.Charge": "x"}}, "before the dot"),
        ({"ELSEWHERE": ["a,b"]}, "names 'a,b'"),
        ({"HTTP": ["carrier"]}, "must map the names of services"),
        ([], "SAGAS must be a mapping"),
        (None, "SAGAS must be a mapping"),
        ({"SEARCHABLE": "order_id"}, "must list paths"),
        ({"SEARCHABLE": ["order id"]}, "joined by dots"),
        ({"SEARCHABLE": ["a'b"]}, "joined by dots"),
        ({"ELSEWHERE": "payment"}, "must list queues"),
        ({"RUN_QUEUES": ["a b"]}, r"\['RUN_QUEUES'\] names 'a b'"),
        ({"RUN_QUEUES": "payment"}, r"\['RUN_QUEUES'\] must list queues"),
        ({"ALERTS": ["team"]}, "must map the names of channels"),
        ({"ALERTS": {"a b": {"call": "shop.page"}}}, "a channel's name is letters, digits, _ and -"),
        ({"ALERTS": {"team": "olga@shop.example"}}, r"\['team'\]: its settings must be a mapping of email,"),
        ({"ALERTS": {"team": {}}}, "must have one of email, webhook and call"),
        ({"ALERTS": {"team": {"emails": ["olga@shop.example"]}}}, "'emails' is not a setting"),
        ({"ALERTS": {"team": {"email": ["olga"]}}}, "lists something that is no address, at place"),
        ({"ALERTS": {"team": {"call": "shop.page", "kinds": ["sagas"]}}}, "there are attention, workers"),
        ({"ALERTS": {"chat": {"webhook": "http://chat.example/"}}}, "must be https, unless"),
        ({"DESK_URL": "desk.example"}, r"\['DESK_URL'\] must be this desk's address"),
        ({"ALERT_AFTER": -1}, r"\['ALERT_AFTER'\] must be a number above 0"),
        ({"ALERT_AGAIN": False}, "above 0"),
        ({"BEHIND": 0}, "above 0"),
        ({"RQ": "my sagas"}, r"\['RQ'\] must be a queue's name"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(given: Any, says: str) -> None:
    with pytest.raises(ImpossibleSetting, match=says):
        read(given)


def from_environment(names: list[str], **environment: str) -> Any:
    """Return the project's settings of these names as a process reads them that is given these variables."""
    read_back = f"print(json.dumps([getattr(s, name, None) for name in {names}]))"
    ran = subprocess.run(
        [sys.executable, "-c", f"import json; from sagaproject import settings as s; {read_back}"],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr.splitlines()[-1]


MAIL = [
    *("EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS"),
    "DEFAULT_FROM_EMAIL",
]


def test_alerts_and_their_mail_are_set_by_the_environment() -> None:
    given = {
        "SAGADESK_ALERTS": '{"team": {"email": ["team@shop.example"]}}',
        "SAGADESK_DESK_URL": "https://desk.example",
        "SAGADESK_ALERT_AFTER": "0",
        "SAGADESK_ALERT_AGAIN": "600",
        "SAGADESK_BEHIND": "5.5",
        "SAGADESK_EMAIL_HOST": "mail.example",
        "SAGADESK_EMAIL_PORT": "587",
        "SAGADESK_EMAIL_USER": "desk",
        "SAGADESK_EMAIL_PASSWORD": "secret",
        "SAGADESK_EMAIL_TLS": "1",
        "SAGADESK_EMAIL_FROM": "desk@shop.example",
    }
    sagas, *mail = from_environment(["SAGAS", *MAIL], **given)
    found = read(sagas)
    assert found.ALERTS["team"].email == ("team@shop.example",)
    assert (found.DESK_URL, found.BEHIND) == ("https://desk.example", 5.5)
    assert (found.ALERT_AFTER, found.ALERT_AGAIN) == (0, 600)
    assert mail == ["mail.example", 587, "desk", "secret", True, "desk@shop.example"]


def test_what_is_not_said_of_mail_is_left_to_django() -> None:
    sagas, *mail = from_environment(["SAGAS", *MAIL], SAGADESK_ALERTS="", SAGADESK_EMAIL_PORT="")
    assert (sagas["ALERTS"], sagas["DESK_URL"], mail) == ({}, "", [None] * len(MAIL))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SAGADESK_ALERTS", "[]", "SAGADESK_ALERTS must be a JSON object."),
        ("SAGADESK_BEHIND", "long", "SAGADESK_BEHIND must be a number, as 30 or 0.5."),
        ("SAGADESK_EMAIL_PORT", "smtp", "SAGADESK_EMAIL_PORT must be a port, as 587."),
        ("SAGADESK_EMAIL_PORT", "70000", "SAGADESK_EMAIL_PORT must be a port, as 587."),
    ],
)
def test_an_impossible_variable_is_refused_by_name(name: str, value: str, says: str) -> None:
    assert from_environment(["SAGAS"], **{name: value}).endswith(says)


def test_a_command_says_it_in_a_sentence_and_does_not_start() -> None:
    for command in (["check"], ["saga", "worker"]):
        ran = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "sagaproject.settings", "SAGADESK_LEASE": "-1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 1
        assert ran.stderr == "Sagadesk cannot start: SAGAS['LEASE'] must be a number above 0, not -1.0.\n"

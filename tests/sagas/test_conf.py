"""Settings are typed, and an impossible one is refused by name."""

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
        ({"RQ": "my sagas"}, r"\['RQ'\] must be a queue's name"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(given: Any, says: str) -> None:
    with pytest.raises(ImpossibleSetting, match=says):
        read(given)


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

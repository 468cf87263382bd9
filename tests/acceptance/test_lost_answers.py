"""The web process dies between the commit and the answer: whoever repeats the request loses and doubles nothing."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from sagaproject.processes import free_port
from sagas.models import OperatorAction, Saga, Token
from tests.acceptance.conftest import Processes
from tests.acceptance.test_processes import ended

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]

APPS = "tests.acceptance.errands,tests.acceptance.dying"


class Web:
    """A web process that dies when it is told to, and its restarts."""

    def __init__(self, processes: Processes) -> None:
        self.port = free_port()
        self._processes = processes
        self._token = Token.issue(get_user_model().objects.create_superuser("olga"))
        self.restart()

    def restart(self) -> None:
        """Start it, or start it again."""
        self._process = self._processes.serve(self.port, SAGADESK_APPS=APPS)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Post; raises what the client sees if there is no answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", f"/api/v1/sagas{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def lose(self, path: str, body: dict[str, Any]) -> None:
        """Post, and have the process die after the commit."""
        (self._processes.folder / "die").touch()
        with pytest.raises((HTTPException, OSError)):
            self.post(path, body)
        assert self._process.wait(timeout=30) < 0
        self.restart()


def test_a_start_whose_answer_was_lost_is_repeated_with_its_key(processes: Processes) -> None:
    web = Web(processes)
    body = {"type": "Errands", "data": {}, "idempotency_key": "order-1"}
    web.lose("", body)
    saga = Saga.objects.get()
    status, answer = web.post("", body)
    assert (status, answer["id"]) == (200, str(saga.pk))
    assert Saga.objects.count() == 1
    processes.start("worker")
    processes.start("clock")
    assert ended(saga) == "completed"


def test_a_verb_whose_answer_was_lost_is_repeated_with_its_action_id(processes: Processes) -> None:
    web = Web(processes)
    _, saga = web.post("", {"type": "Errands", "data": {}})
    body = {"reason": "inventory", "action_id": "click-1", "version": saga["version"]}
    web.lose(f"/{saga['id']}/pause", body)
    paused = Saga.objects.get()
    status, answer = web.post(f"/{saga['id']}/pause", body)
    assert (status, answer["paused"], answer["version"]) == (200, True, paused.version)
    assert OperatorAction.objects.count() == 1
    status, _ = web.post(f"/{saga['id']}/pause", {**body, "action_id": "click-2"})
    assert status == 409, "another click is another action, and it saw an older version"
    assert OperatorAction.objects.count() == 1

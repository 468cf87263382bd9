"""A participant in another process: its own settings, its own workers, and nobody else has its code."""

from typing import Any

import pytest

from sagas import SagaOrchestrator, SagaStep
from sagas.models import Due, Process, Saga
from tests.acceptance.conftest import Processes
from tests.waiting import until

pytestmark = pytest.mark.acceptance


class Bouquet(SagaOrchestrator):
    """One step, at a participant whose code is not here."""

    saga_type = "OwnBouquet"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return it."""
        return [SagaStep("bind", "OwnFlorist.Bind", input={"flowers": data["flowers"]})]


def test_a_participants_own_workers_serve_its_queue_and_no_other(processes: Processes) -> None:
    saga = Bouquet().start({"flowers": "lilies"})
    assert Due.objects.get(saga=saga).queue == "own-florist"
    processes.start("worker", "own-florist", DJANGO_SETTINGS_MODULE="tests.acceptance.florist")
    until(lambda: Saga.objects.get(pk=saga.pk).state == "completed", 60)
    step = Saga.objects.get(pk=saga.pk).steps.get()
    assert step.result == {"flowers": "lilies", "settings": "tests.acceptance.florist"}
    assert set(Process.objects.get(kind="worker").queues) <= {"own-florist", "waits"}

"""A prune is killed at any moment, and each saga is in the database, or in the file, or in both."""

from pathlib import Path

import pytest

from sagas.engine import Pump
from sagas.management.commands._saga import archive
from sagas.models import Event, Saga, Step
from tests.acceptance import errands
from tests.acceptance.conftest import Processes
from tests.archives import documents_in
from tests.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]

WORDS = ("prune", "--older-than", "0d", "--batch", "5", "--export")


def in_file(path: Path) -> set[str]:
    """Return the ids in the file; the next one that opens it sees to a frame that was cut off."""
    with archive.Archive(path):
        return {document["saga"]["id"] for document in documents_in(path)}


def in_database() -> set[str]:
    return {str(pk) for pk in Saga.objects.values_list("pk", flat=True)}


def test_a_prune_that_is_killed_loses_nothing_and_a_second_one_goes_on(processes: Processes) -> None:
    for _ in range(60):
        errands.Errands().start({})
    Pump(("errand",), "test").run(budget=30)
    assert not Saga.objects.active().exists()
    running = str(errands.Errands().start({"gate": "never"}).pk)
    everything, path = in_database() - {running}, processes.folder / "old.jsonl.zst"
    for _ in range(3):
        before = len(in_database())
        killed = processes.start(*WORDS, str(path))
        until(lambda before=before: len(in_database()) < before)
        killed.kill()
        killed.wait()
        assert in_file(path) | in_database() == everything | {running}
        assert {str(pk) for pk in Step.objects.values_list("saga_id", flat=True)} == in_database()
    assert processes.start(*WORDS, str(path)).wait(timeout=60) == 0
    assert (in_file(path), in_database()) == (everything, {running})
    assert {str(pk) for pk in Event.objects.values_list("saga_id", flat=True)} == {running}

"""What is shown of a saga is what it was at one moment."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models import F

from sagas import orchestrator
from sagas.models import Saga, Step

SNAPSHOT = import_module("sagas.orchestrator.snapshot")
really_read = SNAPSHOT._belongings


@pytest.mark.django_db(transaction=True)
def test_a_saga_that_moves_faster_than_it_is_read_is_still_shown_as_it_was_at_one_moment() -> None:
    sagas = [orchestrator.start("Errand", {"item": item}).saga for item in ("book", "pen")]
    with patch.object(SNAPSHOT, "_belongings", _moving_first):
        for told in orchestrator.snapshots(sagas):
            assert [step["attempt"] for step in told["steps"]] == [told["version"]] * len(told["steps"])


def _moving_first(sagas: Sequence[Saga]) -> Any:
    """Read what belongs to sagas that have moved on since they were read themselves, unless they are locked."""
    if not connection.in_atomic_block:
        for saga in Saga.objects.all():
            version = saga.version + 1
            Step.objects.filter(saga=saga).update(attempt=version)
            Saga.objects.filter(pk=saga.pk).update(version=version, sequence=F("sequence") + 1)
    return really_read(sagas)

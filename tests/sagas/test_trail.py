"""The audit trail as a whole: all that is recorded can be chosen, and an action id says what it stands for."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sagas import orchestrator
from sagas.clock import database_now
from sagas.models import OperatorAction
from sagas.orchestrator import trail

pytestmark = pytest.mark.django_db


def recorded(verb: str, request: dict[str, Any], **more: Any) -> None:
    asked = orchestrator.Asked(
        operator=None, via="command", reason="why", action_id="used", step=more.pop("step", None)
    )
    trail.record(asked, verb, request, at=database_now(), **more)


@pytest.mark.parametrize("verb", ["prune", "remap", "import", "retry", "take_alert", "start_batch"])
def test_whatever_is_recorded_can_be_chosen_in_the_audit_trail(
    client: Client, operator: Any, verb: str
) -> None:
    recorded(verb, {})
    client.force_login(operator)
    page = client.get(reverse("saga-audit"), {"verb": verb})
    assert [row.verb for row in page.context["page"].rows] == [verb]
    assert f'<option value="{verb}" selected>' in page.content.decode()


def test_what_is_recorded_fits_its_column() -> None:
    assert max(map(len, trail.DEEDS)) <= OperatorAction._meta.get_field("verb").max_length
    assert len(set(trail.DEEDS)) == len(trail.DEEDS)


@pytest.mark.parametrize(
    ("verb", "request_", "says"),
    [
        ("take_alert", {"alert": 7}, "take alert 7"),
        ("pause_queue", {"queue": "pay"}, "pause queue pay"),
        ("start_batch", {"of": "retry", "batch": 3}, "start batch 3"),
        ("prune", {"older_than": 60.0}, "prune sagas"),
    ],
)
def test_an_action_id_that_is_reused_says_what_it_was_used_for(
    errand: Any, asked: Any, verb: str, request_: dict[str, Any], says: str
) -> None:
    recorded(verb, request_)
    with pytest.raises(orchestrator.Invalid, match=f"was already used, to {says}$"):
        orchestrator.act(errand().pk, "pause", asked(action_id="used"))


def test_an_action_id_of_a_saga_says_which_one_and_which_step(errand: Any, asked: Any) -> None:
    saga = errand()
    recorded("retry", {}, saga_id=saga.pk, step="pay")
    with pytest.raises(orchestrator.Invalid, match=f"was already used, to retry pay of saga {saga.pk}$"):
        orchestrator.act(saga.pk, "pause", asked(action_id="used"))

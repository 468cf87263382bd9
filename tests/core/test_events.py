"""Every event survives its row."""

import pytest

from sagas.core import events as e
from sagas.core.events import EVENT_TYPES, event_data, event_from
from sagas.core.words import Attention, Outcome
from tests.simulation.stored import events_as_stored

from .examples import make
from .story import NOON


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_survives_its_row(name: str) -> None:
    event = make(EVENT_TYPES[name], version=7)
    (again,) = events_as_stored([event])
    assert again == event
    assert type(again) is EVENT_TYPES[name]


@pytest.mark.parametrize("outcome", [None, *Outcome])
@pytest.mark.parametrize("code", Attention)
def test_words_come_back_as_words(code: Attention, outcome: Outcome | None) -> None:
    event = e.UndoHeld(at=NOON, version=1, step="a", code=code, error="no", outcome=outcome)
    (again,) = events_as_stored([event])
    assert isinstance(again, e.UndoHeld)
    assert again.code is code
    assert again.outcome is outcome


def test_what_has_a_column_of_its_own_is_not_repeated() -> None:
    for event_type in EVENT_TYPES.values():
        assert not {"at", "version", "step"} & event_data(make(event_type)).keys()


def test_a_row_of_an_event_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError, match="SagaVanished"):
        event_from("SagaVanished", at=NOON, version=1, step=None, data={})

"""Whoever dies, wherever it is: nothing is lost, and nothing happens twice."""

from functools import cache

import pytest
from django.db import connection

from tests.crashpoints import catalogue, dying, places

recorded = cache(dying.record)


@pytest.mark.usefixtures("seamed")
@pytest.mark.parametrize("name", catalogue.PATHS)
def test_a_process_may_die_just_before_and_just_after_each_point_of(name: str) -> None:
    recording = recorded(catalogue.PATHS[name])
    wrong = [f"{moment}: {each}" for moment in recording.moments for each in dying.die_at(recording, moment)]
    deaths = len(recording.moments)
    print(f"{name}: {deaths} deaths, which left {len(recording.known)} different remains behind")
    assert not wrong, f"of {deaths} deaths {len(wrong)} went wrong:\n" + "\n".join(wrong)


@pytest.mark.usefixtures("seamed")
def test_every_place_that_writes_or_calls_is_passed_by_a_path() -> None:
    lines = {line for path in catalogue.PATHS.values() for line in recorded(path).lines}
    missed = [str(place) for place in catalogue.owed(connection.vendor) if not place.passed(lines)]
    assert not missed, (
        "no path passes these places: add a path to tests/crashpoints that does, or, if a death there cannot"
        " matter, an exemption with its reason to tests/crashpoints/catalogue.py:\n" + "\n".join(missed)
    )


def test_no_exemption_outlives_its_place() -> None:
    there = [str(place) for place in places.places()]
    exempt = [*catalogue.EXEMPT, *catalogue.ONLY_ON]
    assert not [each for each in exempt if not any(place.startswith(each) for place in there)]

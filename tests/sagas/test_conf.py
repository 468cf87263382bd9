"""Settings are typed, and an impossible one is refused by name."""

import pytest

from sagas.conf import ImpossibleSetting, read


def test_numbers_from_the_environment_become_what_they_count() -> None:
    read_back = read({"CONCURRENCY": 4.0, "LEASE": 2.5})
    assert (read_back.CONCURRENCY, read_back.LEASE) == (4, 2.5)
    assert isinstance(read_back.CONCURRENCY, int)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"LEESE": 3}, "LEESE.*LEASE"),
        ({"LEASE": 0}, "above 0"),
        ({"LEASE": "long"}, "above 0"),
        ({"LEASE": True}, "above 0"),
        ({"QUEUES": ["payment"]}, "must map"),
        ({"SEARCHABLE": "order_id"}, "must list paths"),
        ({"SEARCHABLE": ["order id"]}, "joined by dots"),
        ({"SEARCHABLE": ["a'b"]}, "joined by dots"),
        ({"ELSEWHERE": "payment"}, "must list queues"),
    ],
)
def test_an_impossible_setting_is_refused_by_name(given: dict[str, object], says: str) -> None:
    with pytest.raises(ImpossibleSetting, match=says):
        read(given)

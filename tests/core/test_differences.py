"""What is different between two documents."""

from typing import Any

import pytest

from sagas.core.differences import differences


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3}, [("a", "removed", 1, None), ("b", "changed", 2, 3)]),
        ({}, {"a": {"b": 1}}, [("a", "added", None, {"b": 1})]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", "changed", 2, 3)]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("a[1]", "changed", 2, 3), ("a[2]", "added", None, 4)]),
        ({"a": [{"b": 1}]}, {"a": []}, [("a[0]", "removed", {"b": 1}, None)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", "changed", {"b": 1}, [1])]),
        ({"a": None}, {}, [("a", "removed", None, None)]),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, []),
    ],
)
def test_each_path_whose_value_is_another_one_is_told(before: Any, after: Any, told: list[Any]) -> None:
    assert [tuple(each) for each in differences(before, after)] == told


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), (None, ""), ("1", 1)])
def test_values_that_are_written_otherwise_differ(one: Any, other: Any) -> None:
    assert [each.path for each in differences({"a": one}, {"a": other})] == ["a"]


def test_what_lies_deep_is_one_value() -> None:
    def nested(value: int, levels: int) -> dict[str, Any]:
        return {"a": nested(value, levels - 1)} if levels else {"a": value}

    (told,) = differences(nested(1, 150), nested(2, 150), levels=3)
    assert told.path == "a.a.a"

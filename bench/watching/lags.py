"""How long a commit took to reach a page, from what the pages wrote down and what the database says."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

#: Seconds at the end of a stay or of the measurement that do not count: what is on its way then cannot arrive.
MARGIN = 2.0
#: An overview is asked after at so many moments between two of its frames.
MOMENTS = 10

Times = Mapping[str, Mapping[int, float]]
"""Saga -> version -> when it was decided, by the database's clock."""


def of_stays(
    stays: Iterable[Mapping[str, Any]], times: Times, begin: float, end: float
) -> dict[str, list[float]]:
    """Return seconds, by kind of page: for each version that a page did not show, until it showed that or a later one.

    What never arrived counts as infinitely late.
    """
    lags: dict[str, list[float]] = {}
    for stay in stays:
        first, last = max(stay["at"], begin), min(stay.get("until", end), end) - MARGIN
        for saga, shown in stay["shows"].items():
            arrived = [(version, at) for at, each, version in stay["heard"] if each == saga]
            for version, at in times.get(saga, {}).items():
                if version > shown and first <= at <= last:
                    came = min((a for v, a in arrived if v >= version), default=float("inf"))
                    lags.setdefault(stay["kind"], []).append(came - at)
    return lags


def of_overviews(overviews: Iterable[Sequence[tuple[float, str]]], begin: float, end: float) -> list[float]:
    """Return seconds: how long commits at any moment took until an overview that was drawn after them came."""
    lags = []
    for frames in overviews:
        read = [
            (came, datetime.fromisoformat(drawn).replace(tzinfo=UTC).timestamp()) for came, drawn in frames
        ]
        inside = [(came, drawn) for came, drawn in read if begin <= came <= end]
        for (_, before), (came, drawn) in pairwise(inside):
            lags += [came - (before + (drawn - before) * (n + 1) / MOMENTS) for n in range(MOMENTS)]
    return lags


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least so many percent do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1] if values else float("nan")


def busiest_second(times: Sequence[float], begin: float, end: float) -> int:
    """Return how many of these moments lie in the second that has the most."""
    inside = [each for each in times if begin <= each <= end]
    return max((n + 1 - bisect_left(inside, each - 1) for n, each in enumerate(inside)), default=0)

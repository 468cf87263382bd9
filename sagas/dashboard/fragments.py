"""What the live feed sends: the pages' own partials, rendered for a push."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.http import QueryDict

from sagas import orchestrator
from sagas.core.words import TERMINAL
from sagas.dashboard.approvals import COUNT, LIST, count, inbox
from sagas.dashboard.chrome import chrome
from sagas.dashboard.filters import Filters
from sagas.dashboard.lines import saga_line
from sagas.dashboard.paging import keyset
from sagas.dashboard.regions import OVERVIEW_REGIONS, SAGA_REGIONS, overview_context, saga_contexts
from sagas.dashboard.rendering import rendered
from sagas.dashboard.rows import newer_rows
from sagas.models import Saga
from sagas.orchestrator import Bars


class DeskFragments:
    """Renders for :class:`sagas.live.Feed`; all in one thread, so that equal work is not done twice at once."""

    @sync_to_async
    def versions(self, ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """Return the versions of sagas as they are now."""
        return dict(Saga.objects.filter(pk__in=list(ids)).values_list("pk", "version"))

    @sync_to_async
    def barred(self, people: Iterable[Any], ids: Iterable[UUID]) -> Mapping[tuple[Any, UUID], Bars]:
        """Return what people may not answer of what sagas ask, by a person's key and a saga's."""
        return orchestrator.bars(get_user_model().objects.filter(pk__in=list(people)), ids)

    @sync_to_async
    def render(
        self, variant: tuple[str, frozenset[str]], known: Mapping[UUID, int], barred: Bars
    ) -> Mapping[UUID, dict[str, Any]]:
        """Return the rows of sagas that are newer than known, or the regions of sagas' pages."""
        kind, allowed = variant
        return rendered_rows(known) if kind == "row" else rendered_pages(known, allowed, barred)

    @sync_to_async
    def overview(self) -> dict[str, str]:
        """Return the overview's regions."""
        return _rendered(OVERVIEW_REGIONS, overview_context())

    @sync_to_async
    def approvals(self, person: Any, whole: bool) -> dict[str, str]:
        """Return the regions about what waits for a user's answer."""
        user = get_user_model().objects.filter(pk=person).first()
        if user is None:
            return {}
        return {**_rendered(COUNT, count(user)), **(_rendered(LIST, inbox(user)) if whole else {})}

    @sync_to_async
    def banner(self) -> str:
        """Return the banner that every page shows."""
        return rendered("sagas/_banner.html", {"chrome": chrome()})

    @sync_to_async
    def listed(self, query: str) -> list[UUID]:
        """Return the sagas that a list would show now."""
        asked = QueryDict(query)
        sagas = Filters.read(asked).apply().values_list("pk", flat=True)
        return list(keyset(sagas, asked, {}).rows)

    @database_sync_to_async
    def release(self) -> None:
        """Give the database connection back, as after a request: what is asked in one round shares one."""


def rendered_rows(known: Mapping[UUID, int]) -> dict[UUID, dict[str, Any]]:
    """Render sagas as lines of a table, those whose version is higher than known."""
    return {row.saga.pk: {"version": row.saga.version, "row": saga_line(row)} for row in newer_rows(known)}


def rendered_pages(ids: Iterable[UUID], allowed: frozenset[str], barred: Bars) -> dict[UUID, dict[str, Any]]:
    """Render sagas as the regions of their pages."""
    sagas = list(Saga.objects.filter(pk__in=list(ids)))
    return {
        saga.pk: {
            "version": saga.version,
            "final": saga.state in TERMINAL,
            "title": context["title"],
            "regions": _rendered(SAGA_REGIONS, context),
        }
        for saga, context in zip(sagas, saga_contexts(sagas, allowed, barred), strict=True)
    }


def _rendered(regions: Mapping[str, str], context: dict[str, Any]) -> dict[str, str]:
    return {name: rendered(template, context) for name, template in regions.items()}

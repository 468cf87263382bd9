"""What all of these admins share: they only show, find sagas by the beginning of an id, and read no table whole."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from sagas.core.ids import id_range

#: A count stops here and says "+": nobody turns more pages, and a million rows take longer to count than fifty to show.
MOST = 10_000


class Bounded(int):
    """A count that stopped; it is shown as what it is."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):
    """Counts no further than :data:`MOST`."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, up to a bound."""
        counted = self.object_list.order_by()[: MOST + 1].count()
        return Bounded(MOST) if counted > MOST else counted


class KnownValues(admin.AllValuesFieldListFilter):
    """Offers the values of a column that are known from elsewhere; Django would read the whole column for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lookup_choices = self.known()

    def known(self) -> Iterable[str]:
        """Return them, in the order in which they are offered."""
        raise NotImplementedError


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows, adds and changes none."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    paginator = BoundedPaginator
    #: The field that holds a saga's id, if one does.
    saga_field: str | None = "saga_id"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only the orchestrator writes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the orchestrator writes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened stays recorded."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search as the admin does, and for sagas whose id begins with the term; a whole id is looked up."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        ids = id_range(search_term)
        if ids and self.saga_field:
            first, last = ids
            of_saga = queryset.filter(**{f"{self.saga_field}__gte": first, f"{self.saga_field}__lte": last})
            if first == last and self.saga_field == "saga_id":  # no record has an id like that of its own
                return of_saga, False
            return found | of_saga, duplicates
        return found, duplicates

    @admin.display(description="saga", ordering="saga_id")
    def saga_link(self, row: Any) -> str:
        """Link to the row's saga, if it is about one."""
        if row.saga_id is None:
            return "-"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:sagas_saga_change", args=[row.saga_id]), row.saga_id
        )

"""Which sagas somebody means: the same filters for who lists them and for who acts on all of them."""

from sagas import searchable
from sagas.api.schemas import Filters
from sagas.models import Due, Saga, SagaQuerySet


def matching(filters: Filters) -> SagaQuerySet:
    """Return the sagas that have all of it, the newest first."""
    sagas = Saga.objects.order_by("-pk")
    if filters.attention == "any":
        sagas = sagas.at_attention()
    elif filters.attention == "none":
        sagas = sagas.filter(attention__isnull=True)
    elif filters.attention:
        sagas = sagas.filter(attention=filters.attention)
    if filters.waiting:
        sagas = sagas.waiting()
        sagas = sagas if filters.waiting == "any" else sagas.filter(waiting__kind=filters.waiting)
    if filters.queue is not None:  # an empty name is that of no queue, and not no filter
        sagas = sagas.filter(pk__in=Due.sagas_on(filters.queue))
    exact = {"state": filters.state, "saga_type": filters.type, "correlation_id": filters.correlation_id}
    sagas = sagas.filter(**{field: value for field, value in exact.items() if value is not None})
    for name, value in (filters.model_extra or {}).items():
        sagas = searchable.with_value(sagas, name.removeprefix(searchable.PREFIX), value)
    return sagas

"""The desk's pages: nouns, and below a saga one path per verb."""

from django.urls import path, register_converter

from sagas.dashboard.views import (
    approvals,
    audit,
    overview,
    probes,
    queues,
    saga,
    sagas,
    selected,
    types,
    verb,
)
from sagas.orchestrator import VERBS


class VerbConverter:
    """One of the verbs."""

    regex = "|".join(VERBS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(VerbConverter, "verb")

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("sagas/", sagas.saga_list, name="saga-list"),
    path("sagas/selected/<verb:verb>/", selected.selected_verb, name="selected-verb"),
    path("sagas/<uuid:saga_id>/", saga.saga_detail, name="saga-detail"),
    path("sagas/<uuid:saga_id>/log/", saga.saga_log, name="saga-log"),
    path("sagas/<uuid:saga_id>/<verb:verb>/", verb.saga_verb, name="saga-verb"),
    path("approvals/", approvals.approvals, name="approvals"),
    path("search/", sagas.search, name="search"),
    path("audit/", audit.audit, name="audit"),
    path("types/", types.type_list, name="type-list"),
    path("types/<path:name>/", types.type_detail, name="type-detail"),
    path("queues/", queues.queues, name="queues"),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
]

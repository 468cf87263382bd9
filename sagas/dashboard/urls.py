"""The desk's pages: nouns, and below a saga one path per verb."""

from django.urls import path, register_converter

from sagas.dashboard.views import (
    alerts,
    approvals,
    audit,
    batches,
    overview,
    probes,
    queue,
    queues,
    saga,
    sagas,
    selected,
    types,
    verb,
)
from sagas.orchestrator import ALERT_VERBS, BATCH_VERBS, BATCHED, QUEUE_VERBS, VERBS


class VerbConverter:
    """One of the verbs."""

    regex = "|".join(VERBS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class QueueVerbConverter(VerbConverter):
    """One of a queue's verbs."""

    regex = "|".join(QUEUE_VERBS)


class BatchedConverter(VerbConverter):
    """One of the verbs that many sagas can be acted on with."""

    regex = "|".join(BATCHED)


class BatchVerbConverter(VerbConverter):
    """One of a batch's verbs."""

    regex = "|".join(BATCH_VERBS)


class AlertVerbConverter(VerbConverter):
    """One of an alert's verbs."""

    regex = "|".join(ALERT_VERBS)


register_converter(VerbConverter, "verb")
register_converter(AlertVerbConverter, "alert_verb")
register_converter(BatchedConverter, "batched")
register_converter(BatchVerbConverter, "batch_verb")
register_converter(QueueVerbConverter, "queue_verb")

urlpatterns = [
    path("", overview.overview, name="saga-overview"),
    path("sagas/", sagas.saga_list, name="saga-list"),
    path("sagas/selected/<verb:verb>/", selected.selected_verb, name="saga-selected-verb"),
    path("sagas/<uuid:saga_id>/", saga.saga_detail, name="saga-detail"),
    path("sagas/<uuid:saga_id>/log/", saga.saga_log, name="saga-log"),
    path("sagas/<uuid:saga_id>/<verb:verb>/", verb.saga_verb, name="saga-verb"),
    path("batches/", batches.batch_list, name="saga-batches"),
    path("batches/new/<batched:verb>/", batches.batch_new, name="saga-batch-new"),
    path("batches/<int:number>/", batches.batch_detail, name="saga-batch"),
    path("batches/<int:number>/<batch_verb:verb>/", batches.batch_verb, name="saga-batch-verb"),
    path("alerts/", alerts.alert_list, name="saga-alerts"),
    path("alerts/<int:number>/<alert_verb:verb>/", alerts.alert_verb, name="saga-alert-verb"),
    path("approvals/", approvals.approvals, name="saga-approvals"),
    path("search/", sagas.search, name="saga-search"),
    path("audit/", audit.audit, name="saga-audit"),
    path("types/", types.type_list, name="saga-type-list"),
    path("types/<path:name>/", types.type_detail, name="saga-type-detail"),
    path("queues/", queues.queues, name="saga-queues"),
    path("queues/<path:name>/<queue_verb:verb>/", queue.queue_verb, name="saga-queue-verb"),
    path("healthz", probes.healthz, name="saga-healthz"),
    path("readyz", probes.readyz, name="saga-readyz"),
    path("metrics", probes.metrics, name="saga-metrics"),
]

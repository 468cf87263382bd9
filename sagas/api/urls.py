"""The API's addresses, each with and without a slash at its end."""

from django.urls import re_path

from sagas.api import alerts, batches, callbacks, openapi, queues, saga_types, views
from sagas.api.endpoint import endpoint

_SAGA = r"^sagas/(?P<saga_id>[^/]+)"
_BATCH = r"^batches/(?P<number>[0-9]{1,18})"
_ALERT = r"^alerts/(?P<number>[0-9]{1,18})"
#: Public, since the signature says who it is.
_CALLBACK = r"^callbacks/(?P<service>[^/]+)/(?P<saga_id>[^/]+)/(?P<number>[0-9]{1,9})$"

urlpatterns = [
    # It tells nothing that the source does not, so whoever wants to make a client may read it.
    re_path(r"^(?:openapi\.json/?)?$", endpoint(public=True, GET=openapi.document), name="api-openapi"),
    re_path(r"^types/?$", endpoint(GET=saga_types.type_list), name="api-types"),
    re_path(r"^queues/?$", endpoint(GET=queues.queue_list), name="api-queues"),
    re_path(
        r"^queues/(?P<queue>.+)/(?P<verb>[^/]+)/?$", endpoint(POST=queues.queue_verb), name="api-queue-verb"
    ),
    re_path(r"^batches/?$", endpoint(GET=batches.batch_list, POST=batches.batch_start), name="api-batches"),
    re_path(rf"{_BATCH}/?$", endpoint(GET=batches.batch_detail), name="api-batch"),
    re_path(rf"{_BATCH}/sagas/?$", endpoint(GET=batches.batch_sagas), name="api-batch-sagas"),
    re_path(rf"{_BATCH}/(?P<verb>[^/]+)/?$", endpoint(POST=batches.batch_verb), name="api-batch-verb"),
    re_path(r"^alerts/?$", endpoint(GET=alerts.alert_list), name="api-alerts"),
    re_path(rf"{_ALERT}/?$", endpoint(GET=alerts.alert_detail), name="api-alert"),
    re_path(rf"{_ALERT}/(?P<verb>[^/]+)/?$", endpoint(POST=alerts.alert_verb), name="api-alert-verb"),
    re_path(r"^sagas/?$", endpoint(GET=views.saga_list, POST=views.saga_start), name="api-sagas"),
    re_path(rf"{_SAGA}/?$", endpoint(GET=views.saga_detail), name="api-saga"),
    re_path(rf"{_SAGA}/events/?$", endpoint(GET=views.saga_events), name="api-saga-events"),
    re_path(rf"{_SAGA}/(?P<verb>[^/]+)/?$", endpoint(POST=views.saga_verb), name="api-saga-verb"),
    re_path(_CALLBACK, endpoint(public=True, POST=callbacks.answer), name="api-callback"),
    re_path(r"", endpoint(GET=views.nothing_here, POST=views.nothing_here), name="api-nothing"),
]

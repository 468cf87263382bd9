"""The live sockets' paths, and the feed that serves them: here consumers and pages meet."""

from django.urls import path

from sagas.consumers import ListConsumer, SagaConsumer
from sagas.dashboard.fragments import DeskFragments
from sagas.live import Feed

#: One per web process.
feed = Feed(DeskFragments())

websocket_urlpatterns = [
    path("ws/sagas/", ListConsumer.as_asgi(feed=feed)),
    path("ws/sagas/<uuid:saga_id>/", SagaConsumer.as_asgi(feed=feed)),
]

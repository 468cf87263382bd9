"""The live sockets' paths, and the feed that serves them: here consumers and pages meet."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import re_path

from sagas.consumers import ListConsumer, Nowhere, SagaConsumer
from sagas.dashboard.fragments import DeskFragments
from sagas.live import Feed
from sagas.origin import same_origin

#: One per web process.
feed = Feed(DeskFragments())

#: Sockets stand below the desk, wherever that is mounted; the pages know where.
websocket_urlpatterns = [
    re_path(r"^(?:.*/)?ws/sagas/$", ListConsumer.as_asgi(feed=feed)),
    re_path(r"^(?:.*/)?ws/sagas/[0-9a-f-]{36}/$", SagaConsumer.as_asgi(feed=feed)),
]

#: What a project's ``asgi`` module gives its web sockets to: they open for who is logged in, on our own pages.
live_socket = same_origin(
    AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, re_path("", Nowhere.as_asgi())]))
)

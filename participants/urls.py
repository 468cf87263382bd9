"""The demos' pages, one for each."""

from django.urls import path

from participants import views
from participants.demos import DEMOS

urlpatterns = [path(f"{name}/", views.start, {"name": name}, name=f"demo-{name}") for name in DEMOS]

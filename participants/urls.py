"""The demo shop's one page."""

from django.urls import path

from participants import views

urlpatterns = [path("order/", views.order, name="demo-order")]

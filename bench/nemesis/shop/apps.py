"""The shop's name among the apps."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """A label that says where its tables belong."""

    name = "bench.nemesis.shop"
    label = "chaos"
    default_auto_field = "django.db.models.BigAutoField"

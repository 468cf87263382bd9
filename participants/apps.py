"""The demo shop as a Django app."""

from django.apps import AppConfig


class ParticipantsConfig(AppConfig):
    """Its saga and its handlers are found in :mod:`participants.sagas`."""

    name = "participants"
    verbose_name = "demo shop"
    default_auto_field = "django.db.models.BigAutoField"

"""The demos as a Django app."""

from django.apps import AppConfig


class ParticipantsConfig(AppConfig):
    """Their sagas and handlers are found in :mod:`participants.sagas`."""

    name = "participants"
    verbose_name = "demos"
    default_auto_field = "django.db.models.BigAutoField"

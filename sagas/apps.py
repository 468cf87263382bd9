"""The roof: finds every app's sagas, and connects who listens to what was committed."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class SagasConfig(AppConfig):
    """Sagadesk's orchestrator and desk."""

    name = "sagas"
    verbose_name = "Sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Discover sagas and handlers; connect the adapters."""
        autodiscover_modules("sagas")
        # Importing them registers checks, listeners and transports.
        from sagas import checks, hosting, jobs, live, searchable, soundness  # noqa: F401
        from sagas.transports import http  # noqa: F401

        jobs.serve_known_queues()
        post_migrate.connect(searchable.on_migrated, sender=self, dispatch_uid="sagas.searchable")

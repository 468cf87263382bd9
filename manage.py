#!/usr/bin/env python3
"""Django's command line. ``bin/manage`` runs it in the environment of ``bin/dev``."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"Sagadesk cannot start: {wrong}")

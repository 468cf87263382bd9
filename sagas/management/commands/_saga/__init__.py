"""The subcommands of ``manage.py saga``. A module adds its parsers; ``run`` is what a parser calls."""

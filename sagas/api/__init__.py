"""The HTTP API, ``/api/v1/``: parse, authorise, call one verb or one queryset, answer in JSON."""

"""Wires the desk (``sagas``) and the demo shop (``participants``) into one Django project."""

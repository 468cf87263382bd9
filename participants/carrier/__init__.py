"""A participant elsewhere: a carrier with a process and books of its own, that knows neither Django nor Sagadesk.

``app`` is what it does; ``saga_participant`` is the one file that it has copied in to be a participant.
"""

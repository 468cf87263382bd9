"""The one participant that keeps its books beside the engine's: bonus points, with Sagadesk's own inbox."""

from django.db import models

from sagas.inbox import Inbox


class PointsInbox(Inbox):
    """Which commands this participant has answered."""


class Points(models.Model):
    """An entry of points; an undo is an entry of its own. Nothing here is unique: the inbox has to see to that."""

    key = models.CharField(max_length=250)
    saga = models.CharField(max_length=40)
    step = models.CharField(max_length=100)
    points = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.key} {self.points:+}"

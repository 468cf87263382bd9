"""Which command a saga answers that another saga sent."""

from django.db import models

from sagas.models.saga import Saga


class Child(models.Model):
    """Which saga answers a command that starts one; or that none does, and why. Either closes the command's key."""

    key = models.CharField(max_length=200, primary_key=True, help_text="The command's idempotency key.")
    parent = models.ForeignKey(
        Saga, on_delete=models.CASCADE, related_name="children", db_constraint=False, help_text="Whose it is."
    )
    child_id = models.UUIDField(null=True, help_text="The saga that it started; null: it starts none.")
    refused = models.TextField(blank=True, help_text="Why it starts none.")
    undo_id = models.UUIDField(null=True, help_text="The saga that undoes the child, which was completed.")
    awaiter_id = models.UUIDField(help_text="The saga that waits for the end of either.")
    number = models.IntegerField(help_text="Of its command that is answered then.")
    undoing = models.BooleanField(default=False, help_text="That command is to undo the child.")

    class Meta:
        verbose_name_plural = "children"

    def __str__(self) -> str:
        return f"child of {self.key}"

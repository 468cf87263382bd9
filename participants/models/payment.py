"""Payment's tables: accounts at the demo bank, and the ledger of what moved."""

from django.db import models
from django.db.models import Q

from participants.models.effect import Effect
from sagas.inbox import Inbox


class PaymentInbox(Inbox):
    """The commands that payment has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "payment inboxes"


class Account(models.Model):
    """A payment method at the demo bank, and the money behind it."""

    method = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100)
    opening_cents = models.BigIntegerField()
    balance_cents = models.BigIntegerField()
    declined = models.CharField(max_length=100, blank=True, help_text="Why the bank refuses it, if it does.")

    class Meta:
        ordering = ["method"]
        constraints = [
            models.CheckConstraint(condition=Q(balance_cents__gte=0), name="account_never_overdrawn"),
        ]

    def __str__(self) -> str:
        return self.method


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    """Adjectives for ledger entries."""

    def in_force(self) -> "LedgerQuerySet":
        """Charges that are not refunded: the money that the shop keeps."""
        return self.filter(kind=LedgerEntry.CHARGE, undone_by=None)


class LedgerEntry(Effect):
    """Money that went from an account to the shop, or back."""

    prefix = "PAY"
    CHARGE, REFUND = "charge", "refund"
    KINDS = [(kind, kind) for kind in (CHARGE, REFUND)]

    kind = models.CharField(max_length=8, choices=KINDS)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries")
    amount_cents = models.BigIntegerField()
    #: One to one: a charge is refunded once at most, and there is no refund without its charge.
    undoes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by"
    )

    objects = LedgerQuerySet.as_manager()

    class Meta(Effect.Meta):
        verbose_name_plural = "ledger entries"
        constraints = [
            *Effect.Meta.constraints,
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="ledger_amount_positive"),
            models.CheckConstraint(
                condition=Q(kind="charge", undoes__isnull=True) | Q(kind="refund", undoes__isnull=False),
                name="ledger_only_refunds_undo",
            ),
        ]


class PayoutQuerySet(models.QuerySet["Payout"]):
    """Adjectives for payouts."""

    def in_force(self) -> "PayoutQuerySet":
        """Not recalled."""
        return self.filter(recalled_at=None)


class Payout(Effect):
    """Money that the shop gave to an account, without a charge that it would undo."""

    prefix = "OUT"
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="payouts")
    amount_cents = models.BigIntegerField()
    recalled_at = models.DateTimeField(null=True, blank=True)

    objects = PayoutQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="payout_amount_positive"),
        ]

from django.db import migrations, models
from django.db.models import Q


def remember(apps, schema_editor):
    """Read from the log which actions a step had before its latest, and which effects that came late are unsettled."""
    Step, Event = apps.get_model("sagas", "Step"), apps.get_model("sagas", "Event")
    late = Event.objects.filter(type="LateEffectFound").values("saga_id")
    again = Event.objects.filter(type__in=("StepDispatched", "DeliveryDispatched"), data__generation__gt=1)
    known = Step.objects.filter(Q(generation__gt=1) | Q(attention="late_effect"))
    for step in known.filter(Q(saga_id__in=late) | Q(saga_id__in=again.values("saga_id"))).iterator():
        log = Event.objects.filter(saga_id=step.saga_id, step=step.name).order_by("sequence")
        former = _former(log.values_list("sequence", "type", "data"))
        if former:
            Step.objects.filter(pk=step.pk).update(former=former)


def _former(log):
    former, number, generation, found = {}, None, 0, False
    for sequence, kind, data in log:
        if kind in ("StepDispatched", "DeliveryDispatched"):
            if number is not None and not found:
                former[number] = {"generation": generation}
            number, generation, found = str(sequence), data["generation"], False
        elif kind == "StepCompleted":
            found = True
        elif kind == "LateEffectFound":
            former[number], found = {"generation": generation, "late": True}, True
        elif kind == "LateEffectSettled":
            settled = next((n for n, each in former.items() if each.get("late")), None)
            former.pop(settled, None)
        elif kind == "StepLeftStanding":
            former.pop(number, None)
    return former


class Migration(migrations.Migration):

    dependencies = [
        ("sagas", "0017_room_for_updates"),
    ]

    operations = [
        migrations.AddField(
            model_name="step",
            name="former",
            field=models.JSONField(
                blank=True,
                help_text="Actions closed as without effect, by number; and which had it after all.",
                null=True,
            ),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]

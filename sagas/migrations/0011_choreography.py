from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0010_schedules"),
    ]

    operations = [
        migrations.AddField(
            model_name="step",
            name="event",
            field=models.JSONField(
                blank=True, help_text="In a choreography: what is delivered.", null=True
            ),
        ),
    ]

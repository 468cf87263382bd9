from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0009_drill"),
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

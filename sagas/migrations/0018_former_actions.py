from django.db import migrations, models


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
    ]

import django.db.models.deletion
from django.db import migrations, models


#: Percent of a page that inserts may fill: the rest lets an update stay on its page, so that no index moves.
FILL = {"sagas_saga": 80, "sagas_step": 80}


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, percent in FILL.items():
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


class Migration(migrations.Migration):

    dependencies = [
        ('sagas', '0001_initial'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='saga',
            name='saga_starts_once_per_key',
        ),
        migrations.RemoveConstraint(
            model_name='step',
            name='step_has_one_place',
        ),
        migrations.RemoveIndex(
            model_name='due',
            name='due_by_token',
        ),
        migrations.RemoveIndex(
            model_name='saga',
            name='saga_by_change',
        ),
        migrations.AddField(
            model_name='due',
            name='timeout',
            field=models.FloatField(default=300.0, help_text='Seconds that the attempt may take, from its claim.'),
        ),
        migrations.AlterField(
            model_name='due',
            name='saga',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='due', to='sagas.saga'),
        ),
        migrations.AlterField(
            model_name='event',
            name='saga',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='sagas.saga'),
        ),
        migrations.AlterField(
            model_name='saga',
            name='correlation_id',
            field=models.CharField(max_length=200),
        ),
        migrations.AlterField(
            model_name='saga',
            name='definition',
            field=models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='sagas', to='sagas.definition'),
        ),
        migrations.AlterField(
            model_name='saga',
            name='origin',
            field=models.ForeignKey(blank=True, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='successors', to='sagas.saga'),
        ),
        migrations.AlterField(
            model_name='step',
            name='saga',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='sagas.saga'),
        ),
        migrations.AddIndex(
            model_name='saga',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['-finished_at'], name='saga_by_finish'),
        ),
        migrations.AddIndex(
            model_name='saga',
            index=models.Index(fields=['correlation_id'], name='saga_by_correlation', opclasses=['varchar_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='saga',
            index=models.Index(condition=models.Q(('origin__isnull', False)), fields=['origin'], name='saga_by_origin'),
        ),
        migrations.AddConstraint(
            model_name='saga',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key__isnull', False)), fields=('saga_type', 'idempotency_key'), name='saga_starts_once_per_key'),
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]

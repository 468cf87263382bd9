# The demo shop's tables.

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='CallCount',
            fields=[
                ('key', models.CharField(max_length=250, primary_key=True, serialize=False)),
                ('calls', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='ClosedRegion',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='InventoryInbox',
            fields=[
                ('key', models.CharField(help_text="The command's idempotency key.", max_length=250, primary_key=True, serialize=False)),
                ('command', models.CharField(max_length=200)),
                ('outcome', models.CharField(blank=True, help_text='Empty only inside the transaction that decides it.', max_length=16)),
                ('reply', models.JSONField(help_text='What was answered, and is answered again.', null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name_plural': 'inventory inboxes',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='NotificationInbox',
            fields=[
                ('key', models.CharField(help_text="The command's idempotency key.", max_length=250, primary_key=True, serialize=False)),
                ('command', models.CharField(max_length=200)),
                ('outcome', models.CharField(blank=True, help_text='Empty only inside the transaction that decides it.', max_length=16)),
                ('reply', models.JSONField(help_text='What was answered, and is answered again.', null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name_plural': 'notification inboxes',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='PaymentInbox',
            fields=[
                ('key', models.CharField(help_text="The command's idempotency key.", max_length=250, primary_key=True, serialize=False)),
                ('command', models.CharField(max_length=200)),
                ('outcome', models.CharField(blank=True, help_text='Empty only inside the transaction that decides it.', max_length=16)),
                ('reply', models.JSONField(help_text='What was answered, and is answered again.', null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name_plural': 'payment inboxes',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ShippingInbox',
            fields=[
                ('key', models.CharField(help_text="The command's idempotency key.", max_length=250, primary_key=True, serialize=False)),
                ('command', models.CharField(max_length=200)),
                ('outcome', models.CharField(blank=True, help_text='Empty only inside the transaction that decides it.', max_length=16)),
                ('reply', models.JSONField(help_text='What was answered, and is answered again.', null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name_plural': 'shipping inboxes',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Account',
            fields=[
                ('method', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('holder', models.CharField(max_length=100)),
                ('opening_cents', models.BigIntegerField()),
                ('balance_cents', models.BigIntegerField()),
                ('declined', models.CharField(blank=True, help_text='Why the bank refuses it, if it does.', max_length=100)),
            ],
            options={
                'ordering': ['method'],
                'constraints': [models.CheckConstraint(condition=models.Q(('balance_cents__gte', 0)), name='account_never_overdrawn')],
            },
        ),
        migrations.CreateModel(
            name='Product',
            fields=[
                ('sku', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('price_cents', models.BigIntegerField()),
                ('on_hand', models.BigIntegerField(default=0)),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('on_hand__gte', 0)), name='stock_never_negative'), models.CheckConstraint(condition=models.Q(('price_cents__gt', 0)), name='product_has_a_price')],
            },
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text='Of the command that had this effect.', max_length=250)),
                ('saga_id', models.UUIDField(db_index=True)),
                ('order_id', models.CharField(db_index=True, max_length=100)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('total_cents', models.BigIntegerField(help_text='At the prices of that moment.')),
                ('released_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('key',), name='reservation_once_per_key')],
            },
        ),
        migrations.CreateModel(
            name='Shipment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text='Of the command that had this effect.', max_length=250)),
                ('saga_id', models.UUIDField(db_index=True)),
                ('order_id', models.CharField(db_index=True, max_length=100)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('region', models.CharField(max_length=100)),
                ('address', models.JSONField()),
                ('tracking_number', models.CharField(max_length=40)),
                ('cancelled_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('key',), name='shipment_once_per_key'), models.UniqueConstraint(fields=('tracking_number',), name='tracking_number_names_one_shipment')],
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text='Of the command that had this effect.', max_length=250)),
                ('saga_id', models.UUIDField(db_index=True)),
                ('order_id', models.CharField(db_index=True, max_length=100)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('kind', models.CharField(choices=[('charge', 'charge'), ('refund', 'refund')], max_length=8)),
                ('amount_cents', models.BigIntegerField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='participants.account')),
                ('undoes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='participants.ledgerentry')),
            ],
            options={
                'verbose_name_plural': 'ledger entries',
                'ordering': ['-id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('key',), name='ledgerentry_once_per_key'), models.CheckConstraint(condition=models.Q(('amount_cents__gt', 0)), name='ledger_amount_positive'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'charge'), ('undoes__isnull', True)), models.Q(('kind', 'refund'), ('undoes__isnull', False)), _connector='OR'), name='ledger_only_refunds_undo')],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text='Of the command that had this effect.', max_length=250)),
                ('saga_id', models.UUIDField(db_index=True)),
                ('order_id', models.CharField(db_index=True, max_length=100)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('kind', models.CharField(choices=[('confirmation', 'confirmation'), ('cancellation', 'cancellation')], max_length=12)),
                ('customer_id', models.CharField(max_length=100)),
                ('text', models.TextField()),
                ('undoes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='participants.notice')),
            ],
            options={
                'ordering': ['-id'],
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('key',), name='notice_once_per_key'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'confirmation'), ('undoes__isnull', True)), models.Q(('kind', 'cancellation'), ('undoes__isnull', False)), _connector='OR'), name='notice_only_cancellations_undo')],
            },
        ),
        migrations.CreateModel(
            name='StockMovement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('received', 'received'), ('reserved', 'reserved'), ('released', 'released')], max_length=8)),
                ('quantity', models.BigIntegerField(help_text='What came to the hand; negative: what left it.')),
                ('price_cents', models.BigIntegerField(default=0, help_text='Of a piece, when it was reserved.')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='participants.product')),
                ('reservation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='participants.reservation')),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(fields=('reservation', 'product', 'kind'), name='stock_moves_once_per_reservation'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'received'), ('quantity__gt', 0), ('reservation__isnull', True)), models.Q(('kind', 'reserved'), ('quantity__lt', 0), ('reservation__isnull', False)), models.Q(('kind', 'released'), ('quantity__gt', 0), ('reservation__isnull', False)), _connector='OR'), name='stock_moves_the_right_way')],
            },
        ),
    ]

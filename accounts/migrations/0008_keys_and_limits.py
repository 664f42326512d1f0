"""What a role lets through in a minute."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_built_in_roles")]
    operations = [
        migrations.AddField(
            "role", "requests_per_minute", models.PositiveIntegerField(blank=True, null=True)
        ),
        migrations.AddConstraint(
            "role",
            models.CheckConstraint(
                condition=Q(requests_per_minute__isnull=True) | Q(requests_per_minute__range=(1, 1_000_000)),
                name="a role lets through 1 to 1000000 requests a minute",
            ),
        ),
    ]

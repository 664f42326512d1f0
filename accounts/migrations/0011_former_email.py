"""The address that somebody had before, until its mailbox has been told of the change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_lockdown")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="former_email",
            field=models.EmailField(blank=True, default="", editable=False, max_length=254),
        ),
    ]

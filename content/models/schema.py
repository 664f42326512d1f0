"""The schema that people define: collections, their fields, and locales. Changed only by `content.modeling`."""

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from accounts.access import DataClass, Resource
from accounts.ids import uuid7

KEY_PATTERN = r"^[a-z][a-z0-9_]{0,40}$"
LOCALE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$"


class Locale(models.Model):
    """A language that content is written in (BCP 47), and the locales to fall back to, in order."""

    class Direction(models.TextChoices):
        LTR = "ltr", "left to right"
        RTL = "rtl", "right to left"

    code = models.CharField(primary_key=True, max_length=24, validators=[RegexValidator(LOCALE_PATTERN)])
    name = models.CharField(max_length=80)
    fallback = models.JSONField(default=list)
    direction = models.CharField(max_length=3, choices=Direction, default=Direction.LTR)
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="there_is_one_default_locale"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class Collection(models.Model):
    """A content type: entries (`many`), one entry (`single`), a part of entries (`component`), submissions (`form`)."""

    class Kind(models.TextChoices):
        MANY = "many", "many entries"
        SINGLE = "single", "a single entry"
        COMPONENT = "component", "a component of entries"
        FORM = "form", "a form that visitors fill in"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=41, unique=True, validators=[RegexValidator(KEY_PATTERN)])
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MANY)
    localized = models.BooleanField(default=False)
    retention = models.JSONField(null=True, blank=True)  # {"after_days": 30, "of": "trashed"}, None: for ever
    form = models.JSONField(null=True, blank=True)  # `content.forms.options`, of kind `form` alone
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(form__isnull=True) | models.Q(kind="form"),
                name="only_a_form_has_form_options",
            ),
            models.CheckConstraint(
                condition=models.Q(form__isnull=True)
                | models.Q(form__retention_days__gte=1, form__retention_days__lte=3650),
                name="a_form_keeps_submissions_from_a_day_to_ten_years",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def resource(self) -> Resource:
        return Resource(self.id)


class Field(models.Model):
    """A field of a collection. Its id has one type for ever; a removed one stays, so that old versions can be read."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="fields")
    key = models.CharField(max_length=41, validators=[RegexValidator(KEY_PATTERN)])
    type = models.CharField(max_length=20)
    label = models.CharField(max_length=80, blank=True)
    help = models.CharField(max_length=300, blank=True)
    group = models.CharField(max_length=80, blank=True)  # fields of one group stand together in the form
    position = models.PositiveSmallIntegerField()
    required = models.BooleanField(default=False)
    localized = models.BooleanField(default=False)
    unique = models.BooleanField(default=False)
    filterable = models.BooleanField(default=False)
    default = models.JSONField(null=True, blank=True)
    data_class = models.CharField(
        max_length=10,
        choices=[(item.value, item.value) for item in DataClass],
        default=DataClass.PUBLIC.value,
    )
    is_sealed = models.BooleanField(default=False, db_default=False)  # was sensitive, not all is opened yet
    options = models.JSONField(default=dict)
    condition = models.JSONField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["collection", "key"],
                condition=models.Q(removed_at=None),
                name="a_key_names_one_live_field_of_a_collection",
            )
        ]

    def __str__(self) -> str:
        return self.label or self.key

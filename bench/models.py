"""Models of the stock form (`bench.stock`): what Django has for each field of the large form."""

from typing import Any, ClassVar

from django.db import models

from bench import corpus, wide

LABEL = "bench"


class Target(models.Model):
    """What a foreign key leads to."""

    name = models.CharField(max_length=200)
    objects: ClassVar[models.Manager["Target"]] = models.Manager()

    class Meta:
        app_label = LABEL
        managed = False

    def __str__(self) -> str:
        return self.name


def column(kind: str) -> models.Field[Any, Any]:
    """Return the field that Django has for one of our types."""
    long = {"long_text", "rich_text", "markdown", "tags", "json", "choices"}
    if kind in long:
        return models.TextField(blank=True)
    if kind in {"reference", "references"}:
        return models.ForeignKey(Target, models.PROTECT, null=True, blank=True, related_name="+")
    if kind == "choice":
        choices = [(item, item.title()) for item in corpus.CATEGORIES]
        return models.CharField(max_length=100, blank=True, choices=choices)
    made: dict[str, models.Field[Any, Any]] = {
        "integer": models.IntegerField(null=True, blank=True),
        "decimal": models.DecimalField(max_digits=30, decimal_places=10, null=True, blank=True),
        "date": models.DateField(null=True, blank=True),
        "datetime": models.DateTimeField(null=True, blank=True),
        "boolean": models.BooleanField(default=False),
        "slug": models.SlugField(max_length=200, blank=True),
        "url": models.URLField(blank=True),
        "email": models.EmailField(blank=True),
    }
    return made.get(kind) or models.CharField(max_length=255, blank=True)


def columns_of(fields: list[dict[str, Any]]) -> dict[str, str]:
    """Return column → our type; a component's fields stand for themselves, the blocks are rows elsewhere."""
    found: dict[str, str] = {}
    for item in fields:
        if item["type"] == "component":
            inner = wide.COMPONENTS[1]["fields"]
            found |= {f"{item['key']}_{part['key']}": part["type"] for part in inner}
        elif item["type"] != "blocks":
            found[item["key"]] = item["type"]
    return found


def model(name: str, columns: dict[str, str], **more: models.Field[Any, Any]) -> type[models.Model]:
    """Make a model of these columns."""
    meta = type("Meta", (), {"app_label": LABEL, "managed": False})
    made = {**{key: column(kind) for key, kind in columns.items()}, **more}
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **made})


PAGE_COLUMNS = columns_of(wide.fields())
ROW_COLUMNS = {item["key"]: columns_of(item["fields"]) for item in wide.COMPONENTS}
Page = model("StockPage", PAGE_COLUMNS)
ROWS = {
    key: model(f"Stock{key.title()}", columns, page=models.ForeignKey(Page, models.CASCADE))
    for key, columns in ROW_COLUMNS.items()
}
MODELS: tuple[type[models.Model], ...] = (Target, Page, *ROWS.values())

"""A world whose every text column holds markup, so that a page that does not escape one of them is found (threats, J5)."""

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from accounts import people
from accounts.access import Action, Scopes
from accounts.audit import results
from accounts.audit.chain import Finding
from accounts.audit.verifying import Verification
from accounts.keyring import key_ring
from accounts.keys import api_keys
from accounts.log import Subject, record, seal_pending
from accounts.models import Authenticator, CspReport, DailyHead, Passkey, Session, User
from accounts.principals import anonymous, of_user
from accounts.rights import granting
from content import editing, fields, publishing
from content.fields.base import FieldSpec
from content.forms.submitting import submit
from content.locales import create_locale
from content.models import Backup, Collection, Entry, FieldIndex, Rebuild, SavedView, Visit
from content.schema import current
from previews.models import HandoffUrl, Preview, PreviewSite, SigningKey
from tests.builders import ROOT, make_alert, make_collection, make_entry, make_user, writing
from tests.previews.world import make_preview, make_site
from tests.webhooks.incoming.world import make_failed_receipt
from tests.webhooks.world import make_attempt, make_delivery, make_endpoint
from webhooks.incoming import sources as incoming
from webhooks.models import Endpoint, Receipt, Source

CANARY: Final = '"><img src=x onerror=alert(1)>'


class _Alive(HTMLParser):
    """Finds elements that the markup would make, and any handler in an attribute: no page of ours has one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_ours = tag == "img" and ("src", "x") in attrs
        if is_ours or any(name.startswith("on") for name, _ in attrs):
            self.found.append(self.get_starttag_text() or tag)


def alive(text: str) -> list[str]:
    """Return the elements of a page that markup of ours has made."""
    parser = _Alive()
    parser.feed(text)
    return parser.found


def canary(tag: str) -> str:
    """Return markup that says where it came from."""
    return f"{CANARY}{tag}"


# Where markup stands, by column; each of these words must be met on a page, or the column is not shown at all.
PLACED: Final = {
    "accounts.Alert.actor_label": "alertactor",
    "accounts.Alert.note": "alertnote",
    "accounts.Alert.sentence": "alertsentence",
    "accounts.Alert.subject_id": "alertsubject",
    "accounts.ApiKey.name": "keyname",
    "content.Backup.name": "backupname",
    "content.Backup.problem": "backupproblem",
    "accounts.CspReport.blocked": "cspblocked",
    "accounts.CspReport.directive": "cspdir",
    "accounts.CspReport.document": "cspdocument",
    "accounts.CspReport.source": "cspsource",
    "accounts.DailyHead.problem": "headproblem",
    "accounts.Event.actor_label": "useremail",
    "accounts.Event.detail": "eventdetail",
    "accounts.Event.subject_id": "eventsubject",
    "accounts.LogCheck.result": "finding",
    "accounts.Passkey.name": "passkeyname",
    "accounts.Policy.presets": "policypreset",
    "accounts.Policy.rows": "policyvalue",
    "accounts.Role.name": "rolename",
    "accounts.Session.agent": "agent",
    "accounts.User.email": "useremail",
    "accounts.User.name": "username",
    "content.Collection.form": "formnotice",
    "content.Collection.description": "collectiondescription",
    "content.Collection.name": "collectionname",
    "content.DraftDocument.sealed": "entrytext",
    "content.DraftDocument.title": "entrytitle",
    "content.Field.condition": "fieldcondition",
    "content.Field.default": "fielddefault",
    "content.Field.group": "fieldgroup",
    "content.Field.help": "fieldhelp",
    "content.Field.label": "fieldlabel",
    "content.Field.options": "choicelabel",
    "content.FieldIndex.detail": "indexdetail",
    "content.Locale.name": "localename",
    "content.Rebuild.reason": "rebuildreason",
    "content.SavedView.name": "viewname",
    "content.SavedView.query": "viewwords",
    "content.Version.author_label": "useremail",
    "content.Version.sealed": "oldtext",
    "content.Version.message": "message",
    "previews.HandoffUrl.url": "handoffurl",
    "previews.Preview.opened_agent": "previewagent",
    "previews.PreviewSite.cdn_origin": "sitecdn",
    "previews.PreviewSite.name": "sitename",
    "previews.PreviewSite.origins": "siteorigin",
    "previews.PreviewSite.probe": "siteprobe",
    "previews.SigningKey.public": "publickey",
    "webhooks.Attempt.request_headers": "sentheader",
    "webhooks.Attempt.response_body": "answerbody",
    "webhooks.Attempt.response_headers": "answerheader",
    "webhooks.Delivery.body": "deliverybody",
    "webhooks.Delivery.subject_id": "deliverysubject",
    "webhooks.Endpoint.conformance": "conformance",
    "webhooks.Endpoint.name": "endpointname",
    "webhooks.Endpoint.types": "hooktypes",
    "webhooks.Endpoint.url": "endpointurl",
    "webhooks.EndpointSecret.public": "secretpublic",
    "webhooks.Receipt.message_id": "messageid",
    "webhooks.Receipt.problems": "receiptproblem",
    "webhooks.Receipt.said": "receiptsaid",
    "webhooks.Receipt.body": "receiptbody",
    "webhooks.Source.action": "sourceaction",
    "webhooks.Source.options": "sourceoption",
    "webhooks.Source.schema": "sourceschema",
}
# What can hold no markup, or stands on no page of the admin, and why.
ELSEWHERE: Final = {
    "an own word of ours, from a fixed list": {
        "accounts.Installation.environment", "accounts.RingKey.state",
        "accounts.ApiKey.state", "accounts.Event.type", "accounts.Event.actor_kind", "accounts.Event.subject_type",
        "accounts.Generation.name", "accounts.LogCheck.by", "accounts.Position.consumer", "accounts.Policy.actions", "accounts.Role.areas", "accounts.Session.kind",
        "content.Backup.environment", "content.Collection.kind", "content.DraftDocument.status", "content.Field.data_class", "content.Field.type",
        "content.FieldIndex.state", "content.Locale.direction", "content.Rebuild.state", "accounts.Authenticator.name",
        "accounts.RecoveryCodes.name", "accounts.Passkey.transports", "accounts.Alert.rule", "accounts.Alert.subject_type",
        "accounts.Tally.rule", "previews.Preview.revoked_because", "previews.PreviewSite.algorithm",
        "previews.PreviewSite.response_mode", "previews.PreviewSite.state", "previews.SigningKey.algorithm",
        "previews.SigningKey.state", "webhooks.Attempt.error", "webhooks.Delivery.state", "webhooks.Delivery.subject_type", "webhooks.Delivery.type",
        "webhooks.Endpoint.algorithm", "webhooks.Endpoint.disabled_because", "webhooks.Endpoint.state",
        "webhooks.EndpointSecret.algorithm", "webhooks.EndpointSecret.state", "webhooks.Sight.kind",
        "webhooks.Receipt.reason", "webhooks.Receipt.state", "webhooks.Source.scheme",
        "webhooks.Source.state", "webhooks.SourceSecret.state",
    },
    "small letters, digits and _, held by the database or by the verb": {
        "accounts.Role.key", "accounts.ApiKey.public_id", "content.Collection.key", "content.Field.key",
        "content.Locale.code", "content.Locale.fallback", "content.DraftDocument.locale",
        "content.DraftDocument.content_locale", "content.Reference.locale", "content.UniqueValue.locale",
        "content.Visit.locale", "accounts.Event.locale", "previews.HandoffUrl.locale", "previews.Preview.locale",
        "webhooks.Delivery.locale", "webhooks.Sight.locale",
        "webhooks.Source.key",
    },
    "ids, hashes and addresses of the network, made or parsed by us": {
        "accounts.RingKey.id", "accounts.RingKey.fingerprint",
        "accounts.CspReport.digest", "accounts.ApiKey.secret_hash", "accounts.ApiKey.previous_secret_hash", "accounts.ApiKey.scopes",
        "accounts.ApiKey.allowed_networks", "accounts.ApiKey.last_address", "accounts.ApiKey.old_address",
        "accounts.ScopeUse.scope", "accounts.Authenticator.secret", "accounts.RecoveryCodes.macs", "accounts.Passkey.aaguid",
        "accounts.Event.credential",
        "accounts.Event.request_id", "accounts.Event.address", "accounts.Event.tag", "accounts.Policy.field_ids",
        "accounts.Archive.previous_mac", "accounts.Archive.last_mac", "accounts.Archive.sha256", "accounts.Archive.key_id",
        "accounts.Archive.mac", "accounts.Archive.file", "accounts.Epoch.previous_mac", "accounts.Epoch.key_id", "accounts.Epoch.mac", "accounts.Epoch.backup", "accounts.LogCheck.key_id", "accounts.LogCheck.mac",
        "accounts.DailyHead.head",
        "accounts.Alert.address", "accounts.Alert.positions", "accounts.Tally.slices", "accounts.Tally.positions",
        "accounts.KeyPlace.network", "accounts.KeyPlace.country", "accounts.Seal.mac", "accounts.Seal.key_id", "accounts.Session.address", "accounts.User.password",
        "content.Collection.retention", "content.DataKey.wrapped", "content.DraftDocument.refs", "content.ListLayout.columns", "content.UniqueValue.digest", "content.Version.sha256",
        "previews.Preview.code_hash", "previews.Preview.exchanged_from", "previews.Preview.opened_from",
        "previews.Preview.last_opened_from", "previews.PreviewSite.secret_hash",
        "previews.PreviewSite.previous_secret_hash", "previews.SigningKey.private",
        "webhooks.Endpoint.collection_ids", "webhooks.Endpoint.scopes", "webhooks.EndpointSecret.private",
        "webhooks.Receipt.sha256", "webhooks.SourceSecret.secret",
    },
    "written down with what was done, and shown with it": {"accounts.Session.reason"},
    "encrypted; shown to who says why they look, which test_submissions_are_masked.py does": {"content.Submission.body"},
    "what alerts are told apart by; no page shows it": {"accounts.Alert.group", "accounts.Tally.group"},
    "who is told of a new address, by mail alone; no page shows it": {"accounts.User.former_email"},
    "what an operator said of a lockdown, shown in the banner while one is on: tested with it": {
        "accounts.Lockdown.reason", "accounts.Lockdown.on_by", "accounts.Lockdown.off_by", "accounts.Lockdown.off_reason",
    },
    "what readers get by the API; no page of the admin shows it": {
        "content.PublishedDocument.locale", "content.PublishedDocument.content_locale",
        "content.PublishedDocument.sealed", "content.PublishedDocument.refs",
    },
}  # fmt: skip


def text_columns() -> set[str]:
    """Return every column of our tables that can hold text."""
    kinds = (models.CharField, models.TextField, models.JSONField, ArrayField)
    return {
        f"{model._meta.label}.{column.name}"
        for room in ("accounts", "content", "previews", "webhooks")
        for model in (apps.get_app_config(room).get_models() if apps.is_installed(room) else ())
        if model._meta.managed
        for column in model._meta.local_concrete_fields
        if isinstance(column, kinds)
    } | {"accounts.Role.name"}  # of the table beneath it


@dataclass
class Marked:
    """What was made, as far as pages are asked for by it."""

    entry: Entry = field(default_factory=Entry)
    lost: Entry = field(default_factory=Entry)
    view: str = ""
    eve: User = field(default_factory=User)
    event: str = ""
    site: str = ""
    endpoint: str = ""
    delivery: str = ""


def make_marked(ada: User) -> Marked:
    """Put markup into every text column: by the verbs where they take it, in the table where they refuse it."""
    create_locale(
        {"code": "ar", "name": canary("localename"), "fallback": ["en"], "direction": "rtl"}, by=ROOT
    )
    eve = make_user("eve@example.com", roles=("administrator",))
    # The verb wants an address; the column would take more, and what is shown must not depend on it.
    User.objects.filter(pk=eve.pk).update(email=canary("useremail@example.com"), name=canary("username"))
    eve.refresh_from_db()
    marked = Marked(eve=eve)
    _content(marked)
    _accounts(marked)
    _previews(marked, ada)
    _webhooks(marked)
    _sources()
    name = current().by_key["marked"].by_key["text"]
    view = SavedView.objects.create(
        owner=ada, collection=Collection.objects.get(key="marked"), name=canary("viewname"), is_shared=True,
        query={"columns": [str(spec.id) for spec in current().by_key["marked"].fields], "q": canary("viewwords"),
               "filters": [[str(name.id), "contains", canary("viewwords")]]},
    )  # fmt: skip
    marked.view = str(view.pk)
    index = FieldIndex.objects.filter(collection__key="marked").first()
    assert index is not None
    FieldIndex.objects.filter(pk=index.pk).update(state="failed", detail=canary("indexdetail"))
    Rebuild.objects.create(
        collection=Collection.objects.get(key="marked"), reason=canary("rebuildreason"), total=9
    )
    Session.objects.filter(user=ada).update(agent=canary("agent"))
    Passkey.objects.create(
        user=ada, name=canary("passkeyname"), confirmed=True, credential_id=b"x", public_key=b""
    )
    # What is read of a report has no markup left; the columns would take it.
    CspReport.objects.create(
        digest="0" * 64, directive=canary("cspdir")[:40], blocked=canary("cspblocked"),
        document=canary("cspdocument"), source=canary("cspsource"),
    )  # fmt: skip
    results.keep(Verification(findings=[Finding("altered", 1, None, canary("finding"))]), by="schedule")
    DailyHead.objects.create(day=timezone.now().date(), head={}, problem=canary("headproblem"))
    seal_pending()
    return marked


def _fields() -> list[dict[str, Any]]:
    """Return a field of every type, with markup in everything that people name."""
    choices = [{"value": "one", "label": canary("choicelabel")}, {"value": "two", "label": "Two"}]
    options: dict[str, dict[str, Any]] = {
        "choice": {"choices": choices},
        "choices": {"choices": choices},
        "reference": {"collections": ["vault"]},
        "references": {"collections": ["vault"]},
        **{key: {"components": ["part"]} for key in ("component", "components", "blocks")},
    }
    named = {"label": canary("fieldlabel"), "help": canary("fieldhelp")}
    found = [
        {"key": type_key, "type": type_key, "options": options.get(type_key, {}), **named,
         "group": canary("fieldgroup") if number % 3 == 0 else "", "localized": type_key in ("text", "long_text"),
         "filterable": type_key in ("text", "choice", "reference", "tags"),
         "default": canary("fielddefault") if type_key == "long_text" else None}
        for number, type_key in enumerate(sorted(fields.REGISTRY))
    ]  # fmt: skip
    title = {"key": "title", "type": "text", "filterable": True, "localized": True, **named}
    asked = {"field": "text", "operator": "in", "value": [canary("fieldcondition"), canary("entrytext")]}
    return [title, *found, {"key": "asked", "type": "text", "condition": asked, **named}]


def values(target: UUID, word: str) -> dict[str, Any]:
    """Return a value for each type that takes text, with markup in it."""
    part = [{"_component": "part", "text": canary(word), "kind": "one", "rich": f"<p>{CANARY}{word}</p>"}]
    return {
        "text": canary(word),
        "long_text": f"{canary(word)}\n{CANARY}",
        "rich_text": f"<p>{CANARY}{word}</p>",
        "markdown": f"# {CANARY}\n\n{CANARY}{word}\n\n`{CANARY}`",
        "tags": [canary(word)],
        "json": {canary("key"): [canary(word)]},
        "choice": "one",
        "choices": ["one"],
        "url": "https://example.com/?q=%3Cimg%20src=x%20onerror=alert(1)%3E",
        "reference": str(target),
        "references": [str(target)],
        "component": {key: value for key, value in part[0].items() if key != "_component"},
        "components": [{key: value for key, value in part[0].items() if key != "_component"}],
        "blocks": part,
        "asked": canary(word),
    }


def _content(marked: Marked) -> None:
    named = {"label": canary("fieldlabel"), "help": canary("fieldhelp")}
    choices = [{"value": "one", "label": canary("choicelabel")}]
    inner = [{"key": "text", "type": "text", **named, "default": canary("fielddefault")},
             {"key": "kind", "type": "choice", "options": {"choices": choices}, **named},
             {"key": "rich", "type": "rich_text", **named}]  # fmt: skip
    about = {"description": canary("collectiondescription")}
    make_collection("part", inner, kind="component", name=canary("collectionname"), **about)
    make_collection(
        "vault", [{"key": "title", "type": "text", **named}], name=canary("collectionname"), **about
    )
    make_collection(
        "lone", [{"key": "title", "type": "text", **named}], kind="single", name=canary("collectionname")
    )
    make_collection("marked", _fields(), name=canary("collectionname"), localized=True, **about)
    make_collection(
        "asked", [{"key": "text", "type": "text", **named}], kind="form", name=canary("collectionname"),
        form={"open": True, "notice": canary("formnotice")},
    )  # fmt: skip
    submit("asked", {"text": canary("sent")}, size=1, by=anonymous()[0])
    target = make_entry("vault", title=canary("entrytitle"), published=False)
    by = of_user(marked.eve).having_confirmed("factor")
    entry = make_entry("marked", title=canary("oldtitle"), by=by, **values(target.pk, "oldtext"))
    marked.entry = entry
    newer = {"title": canary("entrytitle"), **values(target.pk, "entrytext")}
    editing.save(entry.pk, newer, writing=writing("marked", by), base=1, message=canary("message"))
    arabic = {"title": canary("entrytitle"), "text": canary("entrytext")}
    editing.save(
        entry.pk, arabic, writing=writing("marked", by), base=2, locale="ar", message=canary("message")
    )
    more = make_entry(
        "marked", title=canary("entrytitle"), published=False, by=by, **values(target.pk, "entrytext")
    )
    publishing.publish(more.pk, writing=writing("marked", by), locales=["en"])
    marked.lost = make_entry("marked", title=canary("entrytitle"), published=False, by=by)
    editing.trash(marked.lost.pk, writing=writing("marked", by))
    make_entry("lone", title=canary("entrytitle"), published=False)
    now = timezone.now()
    Visit.objects.create(user=marked.eve, entry=entry, locale="en", seen_number=1, seen_at=now, typing_at=now)


def _accounts(marked: Marked) -> None:
    role = granting.add_role("marked", canary("rolename"), by=of_user(marked.eve).having_confirmed("factor"))
    spec: FieldSpec = current().by_key["marked"].by_key["text"]
    terms = granting.PolicyTerms(
        collection_id=current().by_key["marked"].id,
        actions=frozenset({Action.READ, Action.READ_DRAFT, Action.CREATE}),
        rows=((str(spec.id), "eq", canary("policyvalue")),),
        every_field=True,
        presets=((spec.id, canary("policypreset")),),
    )
    granting.add_policy(role, terms, by=of_user(marked.eve).having_confirmed("factor"))
    receiver = people.add_person("rolf@example.com", name=canary("username"), roles=["marked"], by=ROOT)
    granting.grant_entry(
        role, [Action.UPDATE], marked.entry, by=of_user(marked.eve).having_confirmed("factor")
    )
    granting.grant_entry(
        receiver, [Action.UPDATE], marked.entry, by=of_user(marked.eve).having_confirmed("factor")
    )
    scopes = Scopes(frozenset({(None, Action.READ)}), frozenset())
    api_keys.mint(receiver, name=canary("keyname"), scopes=scopes, by=ROOT)
    people.add_service(canary("username"), roles=["marked"], by=ROOT)
    Authenticator.objects.update(name=canary("device"))
    with transaction.atomic():
        event = record(
            "test.marked",
            actor=of_user(marked.eve).having_confirmed("factor"),
            subject=Subject("test", canary("eventsubject")),
            detail={canary("eventdetail"): canary("eventdetail")},
        )
    marked.event = str(event.pk)
    about = {"actor_label": canary("alertactor"), "subject_type": "user", "subject_id": canary("alertsubject"),
             "group": canary("alertgroup"), "sentence": canary("alertsentence")}  # fmt: skip
    Backup.objects.using("owner").create(
        name=canary("backupname"), made_at=timezone.now(), environment="development", size=1, media_files=0,
        media_bytes=0, log_position=1, problem=canary("backupproblem"),
    )  # fmt: skip
    make_alert(**about)
    make_alert(**about, acknowledged_at=timezone.now(), acknowledged_by=marked.eve, note=canary("alertnote"))


def _previews(marked: Marked, ada: User) -> None:
    site = make_site(canary("sitename"), {"marked": "https://www.example.com/{text}"}).site
    marked.site = str(site.pk)
    check = dict.fromkeys(("name", "url", "status", "sentence"), canary("siteprobe"))
    probe = {"verdict": CANARY, "sentence": CANARY, "checks": [{**check, "found": [canary("siteprobe")]}]}
    PreviewSite.objects.filter(pk=site.pk).update(
        origins=[canary("siteorigin")], cdn_origin=canary("sitecdn"), probe=probe, probed_at=timezone.now()
    )
    HandoffUrl.objects.filter(site=site).update(url=canary("handoffurl"))
    SigningKey.objects.update(public={canary("publickey"): canary("publickey")})
    ends = timezone.now() + timedelta(hours=1)
    preview = make_preview(
        site, marked.entry, Session.objects.create(user=ada, kind="admin", expires_at=ends)
    )
    Preview.objects.filter(pk=preview.pk).update(
        opened_at=timezone.now(), opened_agent=canary("previewagent"), opened_from="192.0.2.1", open_count=2
    )


def _webhooks(marked: Marked) -> None:
    endpoint = make_endpoint("https://www.example.com/hook", name="Marked", algorithm="v1a").endpoint
    case = dict.fromkeys(("name", "title", "expected", "status", "advice"), canary("conformance"))
    Endpoint.objects.filter(pk=endpoint.pk).update(
        name=canary("endpointname"), url=canary("endpointurl"), types=[canary("hooktypes")],
        conformance={"at": CANARY, "passed": False, "checks": [case]},
    )  # fmt: skip
    endpoint.secrets.update(public=canary("secretpublic")[:64])
    delivery = make_delivery(
        endpoint, subject_type="test", subject_id=canary("deliverysubject"), body=canary("deliverybody")
    )
    make_attempt(
        delivery, status=500, error="", response_body=canary("answerbody"),
        request_headers={canary("sentheader"): canary("sentheader")},
        response_headers={canary("answerheader"): canary("answerheader")},
    )  # fmt: skip
    marked.endpoint, marked.delivery = str(endpoint.pk), str(delivery.pk)


def _sources() -> None:
    options = {"header": "X-Sign", "signed": canary("sourceoption") + "{body}", "encoding": "hex"}
    source = incoming.add(
        "marked", "hmac", {"options": {"header": "X-Sign"}, "action": {"do": "record"}}, by=ROOT
    ).source
    collection = current().by_key["marked"]
    account = people.add_service("Importer", by=ROOT)
    action = {"do": "create", "collection": str(collection.id), "mapping": {str(collection.fields[0].id): "/" + canary("sourceaction")}}  # fmt: skip
    Source.objects.filter(pk=source.pk).update(
        options=options, schema={"title": canary("sourceschema")}, action=action, account=account
    )
    receipt = make_failed_receipt(source)
    body = json.dumps({"text": canary("receiptbody")}).encode()
    Receipt.objects.filter(pk=receipt.pk).update(
        message_id=canary("messageid"), said=canary("receiptsaid"), problems=[{"pointer": canary("receiptproblem"), "code": CANARY}],
        body=key_ring().encrypt(body, context=receipt.context),
    )  # fmt: skip


# Going through the pages

_HREF: Final = re.compile(r'\s(?:href|data-href|data-url|action|formaction)="([^"]*)"')
_CLOSED: Final = re.compile(r"/admin/logout/|/admin/login/|/static/|/jsi18n/")


def links(text: str, page: str) -> set[str]:
    """Return the paths below /admin/ that a page leads to."""
    found = set()
    for raw in _HREF.findall(text):
        target = raw.replace("&amp;", "&").replace("&quot;", '"').replace("&#x27;", "'")
        if target.startswith("?"):
            target = urlsplit(page).path + target
        if target.startswith("/admin/") and not _CLOSED.search(target):
            found.add(target.split("#")[0])
    return found


def starting_points(marked: Marked) -> list[str]:
    """Return the pages that no link leads to."""
    one = f"/admin/content/marked/{marked.entry.pk}/"
    two = f"/admin/content/marked/{marked.lost.pk}/"
    return [
        "/admin/", "/admin/accounts/", "/admin/previews/", "/admin/webhooks/", "/admin/content/", "/admin/nowhere/", f"{one}purge/", f"{one}unpublish/",
        f"{one}publish/", f"{one}trash/", f"{one}history/", f"{one}rights/", f"{one}diff/?from=1&to=2",
        f"{one}diff/?from=1&to=3&locale=ar", f"{one}change/?locale=ar", f"{one}change/?drawer=1",
        f"{one}change/?missing=en,ar", f"{two}change/", f"{two}purge/", f"{two}history/",
        f"{one}field/text/?base=1", f"{one}field/blocks/?base=1", "/admin/choices/?in=marked,vault",
        f"/admin/choices/?id={marked.entry.pk}", f"/admin/content/marked/?view={marked.view}",
        "/admin/content/marked/?f=choice", "/admin/content/marked/?f=reference", "/admin/content/marked/trash/",
        "/admin/content/marked/?filter[choice][eq]=one", "/admin/content/marked/?q=%22%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E",
        "/admin/content/lone/", "/admin/modeling/collections/", "/admin/modeling/collections/marked/delete/",
        "/admin/modeling/locales/", "/admin/modeling/locales/ar/delete/", "/admin/accounts/event/?q=%3Cimg+src%3Dx", "/admin/accounts/alert/?state=all",
        "/admin/autocomplete/?app_label=accounts&model_name=apikey&field_name=owner&term=",
        f"/admin/previews/of/{marked.entry.pk}/", "/admin/login/code/", "/admin/login/enrolment/", f"/admin/accounts/event/{marked.event}/change/",
    ]  # fmt: skip


def crawl(browser: Client, start: list[str], *, most: int) -> dict[str, str]:
    """Follow every link from these pages; return the bodies of at most so many pages, by path."""
    waiting, seen = list(start), dict[str, str]()
    kinds: dict[str, int] = {}
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        kind = resolve(urlsplit(path).path).route
        if path in seen or (kinds.get(kind, 0) >= 6 and path not in start):
            continue  # the seventh history is made as the first one
        kinds[kind] = kinds.get(kind, 0) + 1
        answer = browser.get(path)
        if answer.status_code in {301, 302} and answer["Location"].startswith("/admin/"):
            waiting.append(answer["Location"])
        seen[path] = b"".join(answer).decode() if answer.streaming else answer.content.decode()
        if "text/html" in answer.get("Content-Type", ""):
            waiting += sorted(links(seen[path], path) - seen.keys())
    return seen

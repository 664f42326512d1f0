"""Rules about content: much of it read, taken away or made to vanish by one hand, and drafts that a site gives away."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from accounts.alerting.rule import Hit, Known, Rule, group_of
from accounts.log import Subject
from accounts.models.alert import Severity
from accounts.models.event import Event

_TEN_MINUTES: Final = timedelta(minutes=10)


def _who(event: Event) -> tuple[str, dict[str, str], Subject | None]:
    """Return the group, words and subject of what one hand does: a person, or one key of them."""
    hand = event.credential if event.credential.startswith("api-key:") else ""
    group = group_of(event.actor_id or event.actor_label, hand)
    words = {
        "who": event.actor_label + (" by an API key" if hand else ""),
        "where": event.address or "within",
    }
    return group, words, Subject("user", str(event.actor_id)) if event.actor_id else None


def _each(event: Event, _known: Known) -> Iterable[Hit]:
    group, words, subject = _who(event)
    yield Hit(group, words, subject)


def _erased(event: Event, _known: Known) -> Iterable[Hit]:
    group, words, subject = _who(event)
    if event.type in ("entry.deleted", "submission.erased"):
        if event.actor_kind != "system":  # retention does what somebody has told it to
            yield Hit(group, words, subject)
        return
    # With their collection, or by a retention that is shorter now.
    lost = sum(event.detail.get(name, 0) for name in ("entries", "submissions", "erased"))
    if lost:
        yield Hit(group, words, subject, weight=lost)


def _counted(event: Event, _known: Known) -> Iterable[Hit]:
    group, words, subject = _who(event)
    count = event.detail.get("count", 1)
    yield Hit(group, words, subject, weight=max(1, count) if isinstance(count, int) else 1)


def _full(event: Event, _known: Known) -> Iterable[Hit]:
    words = {"form": str(event.detail.get("collection", "that is gone"))}
    yield Hit(event.subject_id, words, Subject("collection", event.subject_id))


def _given_away(event: Event, _known: Known) -> Iterable[Hit]:
    fields = event.detail.get("fields")
    named = ", ".join(str(key) for key in fields) if isinstance(fields, list) else ""
    words = {"site": str(event.detail.get("name", "that is gone")), "fields": named or "some field"}
    yield Hit(event.subject_id, words, Subject("preview-site", event.subject_id))


def _sent_elsewhere(event: Event, _known: Known) -> Iterable[Hit]:
    changed = event.detail.get("changed")
    is_new = event.type == "preview-site.created"
    if is_new or (isinstance(changed, list) and {"origins", "handoff_urls"} & set(changed)):
        words = {
            "by": event.actor_label,
            "site": str(event.detail.get("name", "that is gone")),
            "what": "set up" if is_new else "sent elsewhere",
        }
        yield Hit(event.subject_id, words, Subject("preview-site", event.subject_id))


def _told_elsewhere(event: Event, _known: Known) -> Iterable[Hit]:
    changed = event.detail.get("changed")
    is_new = event.type == "endpoint.created"
    if is_new or (isinstance(changed, list) and {"url", "owner", "types"} & set(changed)):
        words = {
            "by": event.actor_label,
            "endpoint": str(event.detail.get("name", "that is gone")),
            "what": "set up" if is_new else "sent elsewhere, or given other eyes",
        }
        yield Hit(event.subject_id, words, Subject("endpoint", event.subject_id))


def _switched_off(event: Event, _known: Known) -> Iterable[Hit]:
    because = {"gone": "it answered 410 Gone", "failing": "nothing was delivered for five days"}
    reason = because.get(str(event.detail.get("because", "")))
    if reason is not None:
        words = {"endpoint": str(event.detail.get("name", "that is gone")), "because": reason}
        yield Hit(event.subject_id, words, Subject("endpoint", event.subject_id))


RULES: Final = (
    Rule(
        "mass-read",
        "Very many drafts read at once",
        Severity.WARNING,
        frozenset({"draft.read"}),
        "{who} read {count} drafts, from {where}.",
        "Ask what for. If nobody knows: revoke the key or switch the account off, then see what was read.",
        _counted,
        threshold=1_000,
        window=_TEN_MINUTES,
    ),
    Rule(
        "mass-read.sensitive",
        "Many personal or secret fields read",
        Severity.CRITICAL,
        # Through the eyes of others whole documents are seen, whatever is in them.
        frozenset({"sensitive.read", "access.viewed-as", "submission.read", "values.revealed"}),
        "{who} read personal or secret fields of {count} entries or submissions, from {where}.",
        "Revoke the key or switch the account off unless it was meant: this may have to be reported as a breach.",
        _counted,
        threshold=200,
        window=_TEN_MINUTES,
    ),
    Rule(
        "mass-export",
        "Much was exported",
        Severity.WARNING,
        frozenset(
            {"log.exported", "content.exported", "entry.exported", "submissions.exported", "person.exported"}
        ),
        "{who} exported {count} rows, from {where}.",
        "See that it was meant, and where the file is now.",
        _counted,
        threshold=10_000,
        window=timedelta(hours=1),
    ),
    Rule(
        "mass-delete",
        "Many entries vanish at once",
        Severity.WARNING,
        frozenset({"entry.trashed", "entry.unpublished"}),
        "{who} put {count} entries into the trash or took them from the public.",
        "Ask whether it was meant. What is in the trash can be restored, what was unpublished published again.",
        _each,
        threshold=20,
        window=_TEN_MINUTES,
    ),
    Rule(
        "mass-purge",
        "Many entries were erased for good",
        Severity.CRITICAL,
        frozenset({"entry.deleted", "submission.erased", "collection.changed"}),
        "{who} erased {count} entries or submissions for good.",
        "Switch the account off or revoke the key unless it was meant; only a backup has them now.",
        _erased,
        threshold=20,
        window=_TEN_MINUTES,
    ),
    Rule(
        "form-full",
        "A form can take no more",
        Severity.WARNING,
        frozenset({"form.full"}),
        "The form {form} holds as many submissions as a form may: visitors are refused.",
        "See whether robots filled it. Close the form, or erase what is not needed; a shorter retention helps too.",
        _full,
    ),
    Rule(
        "preview-site-leaks",
        "A preview site gives drafts away",
        Severity.CRITICAL,
        frozenset({"preview-site.leaks"}),
        "The preview site {site} showed words of a draft ({fields}) to somebody without a preview.",
        "See in the site's last probe how it was asked. Correct the site, empty its caches, and probe it again.",
        _given_away,
    ),
    Rule(
        "preview-site-moved",
        "Drafts may go to another address",
        Severity.WARNING,
        frozenset({"preview-site.created", "preview-site.updated"}),
        "{by} saw to it that the preview site {site} was {what}: editors who press Preview hand drafts to it.",
        "See that its origins are yours. If not: switch the site off, then see in the register what was opened there.",
        _sent_elsewhere,
    ),
    Rule(
        "endpoint-moved",
        "Webhooks may go to another address",
        Severity.WARNING,
        frozenset({"endpoint.created", "endpoint.updated"}),
        "{by} saw to it that the webhook endpoint {endpoint} was {what}: it hears of what its owner may read.",
        "See that its address is yours. If not: switch it off, then see in its deliveries what it was told.",
        _told_elsewhere,
    ),
    Rule(
        "endpoint-disabled",
        "A webhook endpoint was switched off",
        Severity.WARNING,
        frozenset({"endpoint.disabled"}),
        "The webhook endpoint {endpoint} was switched off: {because}.",
        "Mend the receiver, switch the endpoint on, and recover since that time: it then gets all that it missed.",
        _switched_off,
    ),
)

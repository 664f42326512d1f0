"""Mails to people: links that they asked for, and word of every change of how they sign in.

A consumer of the log: whatever it tells of is committed and sealed, a crash sends at worst a mail twice, and a mail
server that is down delays all of them and loses none.
"""

import logging
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import environments
from accounts.access import system
from accounts.log import Subject, record
from accounts.models.device import issuer
from accounts.models.event import Event, Position, Seal
from accounts.models.user import User
from accounts.people import INVITED, PASSWORD_CHANGED, UPDATED
from accounts.sign_in import devices, links
from accounts.sign_in.links import Purpose

logger = logging.getLogger("quillkeep.mails")

CONSUMER: Final = "mails"
SENT, REFUSED = "mail.sent", "mail.refused"
_MOST_RESETS: Final = 3  # an hour: nobody's mailbox is to be filled by strangers


@dataclass(frozen=True, slots=True)
class Mail:
    """What is written to somebody: the subject, and the template of the text with its words."""

    subject: str
    template: str
    words: Mapping[str, Any] = field(default_factory=dict)


Writer = Callable[[Event, User], Mail | None]


def _invitation(_event: Event, user: User) -> Mail | None:
    url = links.make_address(user, Purpose.INVITATION)
    return Mail(f"Your account on {issuer()}", "accounts/mails/invitation.txt", {"url": url})


def _reset(event: Event, user: User) -> Mail | None:
    now = timezone.now()
    if event.at < now - links.LIVES[Purpose.RESET]:
        return None  # the mail server was away for so long that nobody waits for it any more
    lately = Event.objects.about("user", str(user.pk)).filter(type=SENT, at__gt=now - timedelta(hours=1))
    if lately.filter(detail__about=event.type).count() >= _MOST_RESETS:
        return None
    url = links.make_address(user, Purpose.RESET)
    return Mail(f"A new password for {issuer()}", "accounts/mails/reset.txt", {"url": url})


_DEVICES: Final = {"totp": "An authenticator app", "passkey": "A passkey", "all": "Every second factor"}


def _enrolled(event: Event, _user: User) -> Mail | None:
    if event.actor_kind == "system":
        return None  # who runs the machine makes the account, and shows its key right there
    what = _DEVICES.get(event.detail.get("device", ""), "A second factor")
    return _notice(event, f"{what} was added to your account.")


def _removed(event: Event, _user: User) -> Mail | None:
    what = _DEVICES.get(event.detail.get("device", ""), "A second factor")
    return _notice(event, f"{what} was removed from your account.")


def _updated(event: Event, _user: User) -> Mail | None:
    if not event.detail.get("email"):
        return None
    return _notice(event, "The e-mail address of your account was changed.")


def _notice(event: Event, what: str) -> Mail:
    words = {"what": what, "at": event.at, "address": event.address}
    return Mail(f"Your account on {issuer()} was changed", "accounts/mails/notice.txt", words)


WRITERS: Final[Mapping[str, Writer]] = {
    INVITED: _invitation,
    links.RESET_ASKED: _reset,
    UPDATED: _updated,
    PASSWORD_CHANGED: lambda event, _: _notice(event, "The password of your account was changed."),
    devices.ENROLLED: _enrolled,
    devices.REMOVED: _removed,
    devices.CODES_MADE: lambda event, _: _notice(
        event, "New recovery codes were made; the former ones are void."
    ),
    "recovery-code.used": lambda event, _: _notice(
        event, f"A recovery code was used to sign in. {event.detail.get('left', 0)} are left."
    ),
}


def send_due() -> int:
    """Send what the log asks for since the last time; return how many. Raises OSError when no server takes them."""
    last = Seal.objects.last_position()
    sent = 0
    while True:
        with transaction.atomic(durable=True):
            position = Position.objects.of(CONSUMER, lock=True)
            waiting = Event.objects.after(position).filter(type__in=WRITERS, seal__position__lte=last)
            event = waiting.first()
            if event is None:
                Position.objects.advance(CONSUMER, to=last)
                return sent
            sent += _send(event)
            Position.objects.advance(CONSUMER, to=event.seal.position)


def _send(event: Event) -> int:
    """Send the mail of one event, to the address that is kept, never to one that was typed (CVE-2019-19844).

    Of another address the former one is told as well: the new one may be that of whoever took the account over.
    """
    if event.subject_type != "user":
        return 0  # a reset for an address that nobody has
    user = User.objects.filter(pk=event.subject_id, is_active=True, is_service=False).first()
    mail = WRITERS[event.type](event, user) if user is not None else None
    if user is None or mail is None:
        return 0
    name, subject = user.name or user.email, Subject("user", str(user.pk))
    sent = int(deliver(mail, user.email, name, about=event.type, subject=subject))
    if event.type == UPDATED and user.former_email:
        name = user.name or user.former_email
        sent += deliver(mail, user.former_email, name, about=event.type, subject=subject)
        User.objects.filter(pk=user.pk).update(former_email="")
    return sent


def deliver(
    mail: Mail,
    to: str,
    name: str,
    *,
    about: str,
    subject: Subject,
    detail: Mapping[str, object] | None = None,
) -> bool:
    """Send a mail to one address and write down whether it was taken. Raises OSError when no server answers."""
    text = render_to_string(mail.template, {"name": name, "place": issuer(), **mail.words})
    place = environments.name()
    mark = "" if place == "production" or mail.subject.startswith("[") else f"[{place}] "
    by, detail = system("mail"), {"about": about, **(detail or {})}
    try:
        EmailMessage(subject=mark + mail.subject, body=text, to=[to]).send()
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
        # This one mail will never be taken; those behind it shall not wait for it.
        logger.warning("The mail server refuses a mail about %s: %s.", about, type(error).__name__)
        record(REFUSED, actor=by, subject=subject, detail=detail)
        return False
    record(SENT, actor=by, subject=subject, detail=detail)
    return True

"""Alerts by API, for those who look after the log: what is open, and acknowledging it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Area, Needs, principal_of
from accounts.alerting.acknowledging import acknowledge
from accounts.alerting.registry import RULES
from accounts.api.manage import LIST, ManagementView
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.shapes import moment
from accounts.api.strict import StrictCharField, StrictSerializer, read_body, read_query
from accounts.errors import InvalidInputError, NotFoundError, Problem
from accounts.models.alert import LONGEST_NOTE, Alert, Severity

FILTERS = ("state", "severity", "rule")
STATES = ("open", "acknowledged")


class NoteBody(StrictSerializer):
    """What somebody found who looked."""

    note = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_NOTE)


class AlertsView(ManagementView):
    """Alerts, newest first."""

    needs = Needs("area", Area.AUDIT)

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=STATES),
            OpenApiParameter("severity", str, enum=[item.word for item in Severity]),
            *(OpenApiParameter(name, str) for name in ("rule", *PARAMETERS)),
        ],
        responses={200: LIST},
    )
    def get(self, request: Request) -> Response:
        parameters = read_query(request, (*FILTERS, *PARAMETERS))
        alerts = Alert.objects.all()
        if "state" in parameters:
            is_open = _one_of("state", parameters["state"], STATES) == "open"
            alerts = alerts.filter(acknowledged_at__isnull=is_open)
        if "severity" in parameters:
            words = [item.word for item in Severity]
            alerts = alerts.filter(
                severity=Severity[_one_of("severity", parameters["severity"], words).upper()]
            )
        if "rule" in parameters:
            alerts = alerts.filter(rule=_one_of("rule", parameters["rule"], RULES))
        about = about_request(request, parameters)
        return page(alerts, parameters, order="-pk", shape=alert_json, about=about)


class AlertView(ManagementView):
    """One alert, with some of the events behind it."""

    needs = Needs("area", Area.AUDIT)

    @extend_schema(
        responses={200: OpenApiResponse(description="The alert, and `events`: positions and ids.")}
    )
    def get(self, request: Request, alert_id: UUID) -> Response:
        read_query(request, ())
        alert = Alert.objects.filter(pk=alert_id).first()
        if alert is None:
            raise NotFoundError
        events = [{"position": event.seal.position, "id": str(event.pk)} for event in alert.events()]
        return Response(alert_json(alert) | {"events": events})


class AlertAcknowledgementView(ManagementView):
    """Somebody has looked. What happens after that is a new alert."""

    needs = Needs("area", Area.AUDIT)

    @extend_schema(request=NoteBody, responses={200: OpenApiResponse(description="The alert.")})
    def post(self, request: Request, alert_id: UUID) -> Response:
        body = read_body(NoteBody, request)
        return Response(
            alert_json(acknowledge(alert_id, note=body.get("note", ""), by=principal_of(request)))
        )


def alert_json(alert: Alert) -> dict[str, Any]:
    """Return an alert as the API shows it."""
    rule = RULES.get(alert.rule)
    return {
        "id": str(alert.pk),
        "rule": alert.rule,
        "title": rule.title if rule is not None else alert.rule,
        "severity": Severity(alert.severity).word,
        "sentence": alert.sentence,
        "advice": rule.advice if rule is not None else "",
        "count": alert.count,
        "first_at": moment(alert.first_at),
        "last_at": moment(alert.last_at),
        "subject": {"type": alert.subject_type, "id": alert.subject_id} if alert.subject_type else None,
        "actor": {"id": str(alert.actor_id) if alert.actor_id else None, "label": alert.actor_label},
        "address": alert.address,
        "acknowledged_at": moment(alert.acknowledged_at),
        "acknowledged_by": str(alert.acknowledged_by_id) if alert.acknowledged_by_id else None,
        "note": alert.note,
    }


def _one_of(name: str, text: str, known: Any) -> str:
    if text not in known:
        problem = Problem(f"invalid-{name}", "There is no such one.", parameter=name)
        raise InvalidInputError(errors=[problem])
    return text

"""The addresses below `/api/v1/` that are about people, rights, keys and the log."""

from django.urls import path

from accounts.api import alerts, audit, auth, csp_reports, manage

urlpatterns = [
    path("auth/login", auth.LoginView.as_view()),
    path("auth/refresh", auth.RefreshView.as_view()),
    path("auth/logout", auth.LogoutView.as_view()),
    path("auth/step-up", auth.StepUpView.as_view()),
    path("auth/me", auth.MeView.as_view()),
    path("auth/sessions", auth.SessionsView.as_view()),
    path("auth/sessions/<uuid:session_id>", auth.SessionView.as_view()),
    path("manage/roles", manage.RolesView.as_view()),
    path("manage/roles/<str:key>", manage.RoleView.as_view()),
    path("manage/policies", manage.PoliciesView.as_view()),
    path("manage/policies/<uuid:policy_id>", manage.PolicyView.as_view()),
    path("manage/users", manage.UsersView.as_view()),
    path("manage/users/<uuid:user_id>", manage.UserView.as_view()),
    path("manage/api-keys", manage.ApiKeysView.as_view()),
    path("manage/api-keys/<uuid:key_id>", manage.ApiKeyView.as_view()),
    path("manage/api-keys/<uuid:key_id>/rotate", manage.ApiKeyRotationView.as_view()),
    path("manage/api-keys/<uuid:key_id>/retire", manage.ApiKeyRetirementView.as_view()),
    path("manage/api-keys/<uuid:key_id>/disable", manage.ApiKeyDisablingView.as_view()),
    path("manage/api-keys/<uuid:key_id>/enable", manage.ApiKeyEnablingView.as_view()),
    path("manage/audit", audit.AuditView.as_view()),
    path("manage/alerts", alerts.AlertsView.as_view()),
    path("manage/alerts/<uuid:alert_id>", alerts.AlertView.as_view()),
    path("manage/alerts/<uuid:alert_id>/acknowledge", alerts.AlertAcknowledgementView.as_view()),
]
reports = [path("csp-reports", csp_reports.ReportsView.as_view())]

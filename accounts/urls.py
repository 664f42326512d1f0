"""The doors of the admin. `QuillkeepAdminSite.get_urls` puts them before Django's own, which so have no door left."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("login/", views.password_step, name="login"),
    path("login/code/", views.code_step, name="login-code"),
    path("login/enrolment/", views.enrolment_step, name="login-enrolment"),
    path("invitation/<str:user_id>/<str:token>/", views.invitation, name="invitation"),
    path("logout/", views.sign_out, name="logout"),
]

"""The URLs of forms on the edge."""

from django.urls import path

from content.forms.api import FormView

urlpatterns = [path("forms/<str:form>", FormView.as_view(), name="form")]

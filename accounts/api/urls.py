"""The addresses below `/api/v1/` that are about people, rights, keys and the log."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

"""The URLs of the manage API of content."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

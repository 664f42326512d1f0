"""The URLs of the delivery API of content."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

"""The URLs of the delivery plane."""

from django.urls import path

from content.delivery import views

urlpatterns = [
    path("<str:collection>", views.CollectionView.as_view(), name="content-list"),
    path("<str:collection>/<str:name>", views.DocumentView.as_view(), name="content-document"),
]

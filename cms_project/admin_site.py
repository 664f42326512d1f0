"""The admin of Quillkeep: Django's own, with our name, behind the sign-in of accounts."""

from django.contrib import admin


class QuillkeepAdminSite(admin.AdminSite):
    """The default admin site; every ModelAdmin registers here."""

    site_header = "Quillkeep"
    site_title = "Quillkeep"
    index_title = "Content and administration"
    enable_nav_sidebar = True

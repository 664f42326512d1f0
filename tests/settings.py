"""The settings under test: the real ones on the environment of tests.plugin, with cheap hashes."""

import os

from tests import throwaway

for _name, _value in throwaway.values(
    QUILLKEEP_ENVIRONMENT="development",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    PUBLIC_URL="http://testserver",
).items():
    os.environ.setdefault(_name, _value)

from cms_project.settings import *  # noqa: E402, F403 (the environment must be complete before)

PASSWORD_HASHERS = ["tests.hashers.CheapArgon2Hasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
REFUSED_SIGN_IN_SECONDS = 0.0

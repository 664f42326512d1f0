"""Argon2id with parameters that cost a test nothing; the algorithm is the real one."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class CheapArgon2Hasher(Argon2PasswordHasher):
    """The production hasher at the smallest cost it takes."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1

"""Argon2id with parameters that cost a test nothing; the algorithm is the real one."""

from accounts.sign_in.passwords import PatientArgon2Hasher


class CheapArgon2Hasher(PatientArgon2Hasher):
    """The production hasher at the smallest cost it takes."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1

"""In which country an address is registered, by the registries' own data; nobody is asked over the network."""

import ipaddress

from iptocc import country_code


def country(address: str) -> str:
    """Return the country's two letters (ISO 3166-1), "" for private addresses and those that nobody has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None)
    return country_code(str(mapped or parsed)) or ""

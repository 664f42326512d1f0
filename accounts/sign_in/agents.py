"""Which browser a session is in, in words that its person recognises."""

from ua_parser import parse


def describe(agent: str) -> str:
    """Return such as "Firefox on Windows"; the name alone where no system is told, and "Unknown" for none."""
    found = parse(agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown browser"

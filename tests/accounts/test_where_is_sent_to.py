"""Which addresses are sent to: one spelling of a host, https, two ports, and what ops list (threats I6, I7, I10)."""

import ipaddress
import socket
from dataclasses import replace
from typing import Any

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, example, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from accounts import egress
from accounts.destinations import Destination, DestinationError, destination_of
from accounts.egress import EgressError
from cms_project.environment import ENVIRONMENTS, Name
from tests.accounts.receiver import says, serving
from tests.plugin import NetworkBlockedError
from tests.plugin import _getaddrinfo as real_getaddrinfo

PUBLIC = "93.184.216.34"
WRONG = [
    # what splits a line, hides, or is read differently by different readers
    "https://example.com/\r\nX: y", "https://example.com\r\n/", "https://example.com/\tx", "https://exa\tmple.com/",
    "https://example.com/\x00", "https://example.com\x00.evil.example/", "https://exa\nmple.com/", "\nhttps://example.com/",
    "https://example.com/\x7f", "https://example.com/\x85", "https://example.com/\u2028", "https://example.com/\u202e",
    "https://exam\u00adple.com/", "https://exam\u200bple.com/", "https://example.com/\ud800", "https://exa mple.com/",
    " https://example.com/", "https://example.com/ ", "https://example.com:443 ", "https://example.com :443/",
    "https://example.com\\@127.0.0.1/", "https:\\\\example.com\\", "https:/\\example.com/", "https://example.com/a\\b",
    # a user, a password, a fragment; also empty ones
    "https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/", "https://:@example.com/",
    "https://example.com@127.0.0.1/", "https://example.com:443@127.0.0.1/", "https://example.com/#x", "https://example.com/#",
    "https://example.com#@127.0.0.1/",
    # ports
    "https://example.com:/", "https://example.com:0/", "https://example.com:00/", "https://example.com:65536/",
    "https://example.com:99999/", "https://example.com:000443/", "https://example.com:-443/", "https://example.com:+443/",
    "https://example.com:443a/", "https://example.com:4_43/", "https://example.com:٤٤٣/", "https://example.com:443:443/",
    "https://example.com:０/", "https://example.com：443/",
    # names that are none
    "https://", "https:///x", "https://?x", "https://.", "https://./", "https://.example.com/", "https://example..com/",
    "https://example.com./", "https://example.com../", "https://-example.com/", "https://example-.com/", "https://exa$mple.com/", "https://exa_mple.com/", "https://xn--/",
    "https://*.example.com/", "https://exa,mple.com/", "https://exa'mple.com/", "https://exa%6dple.com/",
    "https://example.com%2f@127.0.0.1/", "https://example.com%00/", "https://%31%32%37.0.0.1/", "https://127.0.0.1%2f.example.com/",
    "https://" + "a" * 64 + ".example/", "https://" + "a." * 130 + "example/", "https://" + "a" * 3000, "https://example.com/" + "ä" * 1100,
    # numbers that some readers take for an IPv4 address
    "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://127.1/", "https://127.0.1/", "https://0/",
    "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.0.0.01/", "https://127.0.0.0x1/", "https://1.2.3.4.5/",
    "https://256.0.0.1/", "https://127.0.0.1.0x/", "https://example.0x7f/", "https://127.0.0.1./", "https://example.1/",
    # IPv6 that is none
    "https://[::1/", "https://::1/", "https://[::1]x/", "https://[]/", "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/",
    "https://[::ffff:127.0.0.1.]/", "https://[v1.x]/", "https://[127.0.0.1]/", "https://[[::1]]/", "https://[example.com]/",
    # other kinds
    "ftp://example.com/", "ws://example.com/", "httpsx://example.com/", "https:example.com", "https:/example.com", "//example.com/",
    "example.com", "", "file:///etc/passwd", "data:,x", "javascript:alert(1)", "jar:https://example.com/!/x", "https", "https:",
]  # fmt: skip
LOOK_ALIKES = [
    "https://exämple.com/", "https://еxample.com/", "https://ｅxample.com/", "https://example。com/", "https://example．com/",
    "https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://ⓛocalhost/", "https://faß.de/", "https://example.com／x/",
    "https://example.com／＠127.0.0.1/", "https://example.com＃/", "https://[：：1]/", "https://\u212a.example/", "https://ſ.example/",
]  # fmt: skip
RIGHT = [
    ("https://example.com", "example.com", 443),
    ("https://example.com/", "example.com", 443),
    ("HTTPS://EXAMPLE.COM/Path?Query=1", "example.com", 443),
    ("https://example.com:443/", "example.com", 443),
    ("https://example.com:08443/", "example.com", 8443),
    ("https://hooks-2.example.com:8443?x", "hooks-2.example.com", 8443),
    ("https://xn--exmple-cua.com/", "xn--exmple-cua.com", 443),
    ("https://xn--99999999.example/", "xn--99999999.example", 443),
    ("https://1.example/", "1.example", 443),
    ("https://0x7f.example/", "0x7f.example", 443),
    ("https://internal/", "internal", 443),
    ("https://example.com/ä?ö=@:/%00", "example.com", 443),
]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which names were looked up; each is public."""
    asked: list[str] = []

    def look_up(host: str, port: int, *_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("url", WRONG + LOOK_ALIKES)
@pytest.mark.parametrize("name", ["production", "development"])
def test_what_is_not_written_plainly_is_refused_at_saving_and_at_sending(
    settings: LazySettings, connections: list[Any], looked_up: list[str], name: Name, url: str
) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
    for any_port in (False, True):
        problem = egress.url_problem(url, any_port=any_port)
        assert problem
        assert problem.endswith(".")
        with pytest.raises(EgressError):
            egress.post(url, b"{}", headers={}, any_port=any_port)
    assert (connections, looked_up) == ([], [])


@pytest.mark.parametrize("url", LOOK_ALIKES)
def test_a_name_that_only_looks_like_another_is_to_be_written_in_ascii(production: None, url: str) -> None:
    assert egress.url_problem(url) == "Write the name in its ASCII form (xn--…)."


@pytest.mark.parametrize(("url", "host", "port"), RIGHT)
def test_what_is_plain_is_sent_to_as_it_stands(
    production: None, connections: list[Any], looked_up: list[str], url: str, host: str, port: int
) -> None:
    assert egress.url_problem(url) is None
    with pytest.raises(NetworkBlockedError):
        egress.post(url, b"{}", headers={})
    assert (looked_up, connections) == ([host], [(PUBLIC, port)])


def test_only_the_ports_of_https_are_sent_to_but_for_ops(
    production: None, connections: list[Any], looked_up: list[str]
) -> None:
    for port in (1, 22, 25, 80, 444, 6379, 8080, 65535):
        url = f"https://example.com:{port}/"
        assert egress.url_problem(url) == "Only the ports 443 and 8443 are possible."
        with pytest.raises(EgressError):
            egress.post(url, b"{}", headers={})
    assert connections == []
    with pytest.raises(NetworkBlockedError):
        egress.post("https://example.com:6514/", b"{}", headers={}, any_port=True)
    assert connections == [(PUBLIC, 6514)]


# http


def test_http_is_for_this_machine_in_development() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "[::1]", "localhost", "LOCALHOST", "site.localhost"):
        assert egress.url_problem(f"http://{host}:3000/") is None
    for host in ("example.com", "10.0.0.1", "8.8.8.8", "[::2]", "notlocalhost", "localhost.example.com"):
        assert egress.url_problem(f"http://{host}:3000/") == (
            "Only https:// is possible, and http:// for this very machine."
        )
        with pytest.raises(EgressError):
            egress.get(f"http://{host}:3000/")


def test_http_is_for_nobody_elsewhere(settings: LazySettings, connections: list[Any]) -> None:
    for name in ENVIRONMENTS[1:]:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
        for any_port in (False, True):
            for host in ("example.com", "localhost", "127.0.0.1", "[::1]"):
                assert (
                    egress.url_problem(f"http://{host}/", any_port=any_port) == "Only https:// is possible."
                )
                with pytest.raises(EgressError):
                    egress.get(f"http://{host}/", any_port=any_port)
    assert connections == []


def test_http_for_a_name_of_this_machine_that_lies_elsewhere_is_not_sent(
    connections: list[Any], looked_up: list[str]
) -> None:
    with pytest.raises(EgressError):
        egress.get("http://site.localhost:3000/")
    assert (looked_up, connections) == (["site.localhost"], [])


def test_a_name_of_this_machine_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: real_getaddrinfo("127.0.0.1", *rest))
    with serving(says(200)) as server:
        assert egress.get(f"http://site.localhost:{server.port}/").is_success
        assert server.asked[0][2]["Host"] == f"site.localhost:{server.port}"


def test_ops_may_send_by_http_in_development(connections: list[Any], looked_up: list[str]) -> None:
    with pytest.raises(NetworkBlockedError):
        egress.post("http://log.example.com/", b"{}", headers={}, any_port=True)
    assert connections == [(PUBLIC, 80)]


# What ops list

LISTED = ("hooks.example.com", "*.example.org", "93.184.216.34", "2606:4700::1111")


@pytest.mark.parametrize(
    "host",
    ["hooks.example.com", "HOOKS.example.com", "a.example.org", "a.b.example.org", "93.184.216.34", "[2606:4700::1111]", "[2606:4700:0:0::1111]"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["production", "development"])
def test_what_ops_list_is_sent_to(settings: LazySettings, name: Name, host: str) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
    settings.EGRESS_ALLOWED_HOSTS = LISTED
    assert egress.url_problem(f"https://{host}/") is None


@pytest.mark.parametrize(
    "host",
    [
        "example.com", "a.hooks.example.com", "hooks.example.com.evil.example", "evilhooks.example.com", "example.org", "evilexample.org",
        "a.example.org.evil.example", "xn--example.org", "93.184.216.35", "[2606:4700::1112]", "[::ffff:93.184.216.34]", "localhost",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["production", "development"])
def test_nothing_else_is_sent_to_then(
    settings: LazySettings, connections: list[Any], looked_up: list[str], name: Name, host: str
) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
    settings.EGRESS_ALLOWED_HOSTS = LISTED
    problem = egress.url_problem(f"https://{host}/")
    assert problem == "This server sends only to names that who runs it has listed; this is none."
    with pytest.raises(EgressError):
        egress.post(f"https://{host}/", b"{}", headers={})
    assert (connections, looked_up) == ([], [])


def test_a_star_stands_for_names_and_never_for_part_of_an_address(
    production: None, settings: LazySettings
) -> None:
    settings.EGRESS_ALLOWED_HOSTS = ("*.184.216.34",)  # which the environment would refuse
    assert egress.url_problem(f"https://{PUBLIC}/")


def test_a_listed_name_must_be_public_all_the_same(
    production: None, settings: LazySettings, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EGRESS_ALLOWED_HOSTS = ("hooks.example.com", "10.0.0.1")
    inner = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: inner)
    for host in settings.EGRESS_ALLOWED_HOSTS:
        with pytest.raises(EgressError):
            egress.post(f"https://{host}/", b"{}", headers={})
    assert connections == []


@pytest.mark.parametrize("name", ["production", "development"])
def test_ports_that_ops_list_are_the_only_ones(settings: LazySettings, name: Name) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
    settings.EGRESS_ALLOWED_PORTS = frozenset({443, 9443})
    assert egress.url_problem("https://example.com/") is None
    assert egress.url_problem("https://example.com:9443/") is None
    assert egress.url_problem("https://example.com:8443/") == "This server doesn't send to that port."


def test_the_lists_are_not_for_what_ops_wrote(
    production: None, settings: LazySettings, connections: list[Any], looked_up: list[str]
) -> None:
    settings.EGRESS_ALLOWED_HOSTS, settings.EGRESS_ALLOWED_PORTS = ("hooks.example.com",), frozenset({443})
    assert egress.url_problem("https://log.example.com:6514/", any_port=True) is None
    with pytest.raises(NetworkBlockedError):
        egress.post("https://log.example.com:6514/", b"{}", headers={}, any_port=True)
    assert connections == [(PUBLIC, 6514)]


def test_the_server_itself_is_not_sent_to(production: None, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["cms.own.example", ".admin.example", "[2606:4700::1111]"]
    for host in (
        "cms.own.example",
        "CMS.OWN.example:8443",
        "admin.example",
        "x.admin.example",
        "[2606:4700::1111]",
    ):
        for any_port in (False, True):
            assert egress.url_problem(f"https://{host}/", any_port=any_port) == "That is this very server."
    assert egress.url_problem("https://other.own.example/") is None


# Any text


def test_nothing_is_sent_where_two_readers_disagree() -> None:
    right = Destination("https", "example.com", 443, None, is_for_loopback=False, networks=())
    egress._request("GET", "https://example.com/", None, {}, right)
    for wrong in (
        replace(right, host="example.org"),
        replace(right, port=8443),
        replace(right, scheme="http"),
    ):
        with pytest.raises(EgressError):
            egress._request("GET", "https://example.com/", None, {}, wrong)


PIECES = st.sampled_from(
    ["https://", "http://", "example.com", "127.0.0.1", "[::1]", "xn--", "@", ":", "443", "/", "?", "#", "%2f", "%", "\\", ".", "-", "[", "]",
     "ä", "。", "１", "localhost", "..", "//", "\t", "\x00", "0x7f", "|", "^", "{", "<", "\""],
)  # fmt: skip


@given(url=st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join) | st.text())
@example(url="https://example.com/[")
@example(url="https://example.com?[]|^{}<>\"'`")
@example(url="https://example.com/%zz%")
@trying(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_may_be_saved_is_read_as_the_same_by_everybody(production: None, url: str) -> None:
    for text in (url, f"https://{url}", f"https://example.com/{url}"):
        try:
            destination = destination_of(text)
        except DestinationError:
            assert egress.url_problem(text)
            continue
        assert destination.host.isascii()
        request = egress._request(
            "GET", text, None, {}, destination
        )  # raises where httpx reads it differently
        everywhere = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
        target = egress._policy(destination.scheme, destination.port, everywhere).check_url(str(request.url))
        assert (target.host, target.port) == (destination.host, destination.port)

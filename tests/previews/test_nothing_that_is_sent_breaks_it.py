"""Whatever bytes come as a token, a code or a handoff URL: they are refused, and never break anything (properties)."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from uuid import UUID

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from content.schema import CollectionSpec, current
from previews import addresses, secrets, tokens
from previews.addresses import AddressError, MissingValueError
from previews.tokens import InvalidTokenError
from tests.previews.forging import Forge, bytes_of, text_of
from tests.previews.world import World, refusals

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]

FEW: Final = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
MANY: Final = settings(
    max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

PARTS: Final = st.text(
    alphabet=st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=80
)
LEAVES: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=8).map(text_of)
)
JSON: Final = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=6)  # fmt: skip


@pytest.fixture
def forge(world: World) -> Iterator[Forge]:
    """A good token, which is good before and after all that is tried."""
    made = Forge(world.token())
    assert tokens.verify(made.token).locale == "en"
    yield made
    assert tokens.verify(made.token).locale == "en"


def refused(text: str) -> str:
    """Return why a token is refused; anything but InvalidTokenError is a fault of ours."""
    with pytest.raises(InvalidTokenError) as caught:
        tokens.verify(text)
    return caught.value.reason


@MANY
@given(text=st.text(max_size=300) | PARTS | st.lists(PARTS, min_size=2, max_size=6).map(".".join) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))  # fmt: skip
@example("..")
@example("e30.e30.e30")
@example("\ud800.\ud800.\ud800")
def test_no_text_is_a_token(forge: Forge, text: str) -> None:
    del forge
    refused(text)


@MANY
@given(
    header=JSON | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), JSON),
    claims=JSON,
    data=st.data(),
)
def test_no_signed_json_is_a_token(forge: Forge, header: Any, claims: Any, data: st.DataObject) -> None:
    refused(forge.with_bytes(header=json.dumps(header).encode()))
    refused(forge.with_bytes(claims=json.dumps(claims).encode()))
    name = data.draw(st.sampled_from(sorted(forge.claims)))
    value = data.draw(JSON)
    times = {"iat", "nbf", "exp"}
    if value != forge.claims[name] and not (name in times and type(value) is int) and name != "locale":
        try:
            found = tokens.verify(forge.with_claims(**{name: value}))
        except InvalidTokenError:
            return
        # What is still well formed is of another preview, which the register does not know.
        assert str(found.preview_id) == value or found.session == value


@MANY
@given(at=st.integers(min_value=0), bits=st.integers(min_value=1, max_value=255), how=st.sampled_from(["flip", "cut", "add", "swap"]))  # fmt: skip
def test_a_token_that_is_changed_anywhere_is_none(forge: Forge, at: int, bits: int, how: str) -> None:
    raw = bytearray(forge.token.encode())
    at %= len(raw)
    if how == "flip":
        raw[at] ^= bits
    elif how == "cut":
        del raw[at]
    elif how == "add":
        raw.insert(at, bits)
    else:
        raw[at], raw[at - 1] = raw[at - 1], raw[at]
    text = bytes(raw).decode("latin-1")
    if text != forge.token:
        refused(text)


@MANY
@given(part=st.integers(0, 2), raw=st.binary(max_size=200))
def test_no_bytes_in_a_part_of_a_token_break_it(forge: Forge, part: int, raw: bytes) -> None:
    parts = forge.token.split(".")
    if raw != bytes_of(parts[part]):
        parts[part] = text_of(raw)
        refused(".".join(parts))
        if part < 2:
            refused(forge.with_bytes(**{("header", "claims")[part]: raw}))


@FEW
@given(text=st.text(alphabet=st.characters(codec="latin-1"), max_size=200), scheme=st.sampled_from(["Bearer ", "bearer ", "Bearer  ", "", "Basic ", "Bearer,"]))  # fmt: skip
@example("\u00e9", "Bearer ")
@example("\x00", "Bearer ")
@example("a\r\nX-Evil: 1", "Bearer ")
def test_no_header_is_more_than_refused(world: World, text: str, scheme: str) -> None:
    path = f"/api/v1/preview/content/articles/{world.draft.pk}"
    answer = world.visitor.client.get(path, HTTP_AUTHORIZATION=scheme + text)
    assert answer.status_code in (400, 401), answer.content
    assert answer.headers["Cache-Control"].endswith(("no-store", "max-age=0"))


@FEW
@given(name=st.text(max_size=60), query=st.text(max_size=60))
@example("..", "")
@example("%00", "fields=%00")
@example("a", "fields=" + "a." * 20)
@example("a", "expand=__class__")
def test_no_address_breaks_a_draft_read(world: World, name: str, query: str) -> None:
    token = world.token()
    for path in (
        f"/api/v1/preview/content/articles/{name}",
        f"/api/v1/preview/content/{name}/{world.draft.pk}",
    ):
        for tail in ("", "?" + query, f"?fields={query}", f"?locale={query}", f"?expand={query}"):
            try:
                answer: Any = world.visitor.client.get(
                    path + tail, headers={"Authorization": f"Bearer {token}"}
                )
            except UnicodeError:
                return  # no client could send it
            assert answer.status_code < 500, (path, tail)
            assert answer.status_code not in (301, 302, 307, 308), (path, tail)


@FEW
@given(code=st.text(max_size=250), secret=st.text(max_size=250))
@example("qkpc_" + "\x00" * 43, "x")
@example("\ud800", "\ud800")
def test_no_code_breaks_an_exchange(world: World, code: str, secret: str) -> None:
    answer = world.exchange(code, secret or "x")
    assert answer.status_code in (400, 401), answer.content


@FEW
@given(at=st.integers(min_value=0), letter=st.characters(codec="utf-8"), how=st.sampled_from(["put", "cut", "add"]), which=st.integers(0, 1))  # fmt: skip
def test_a_changed_code_or_secret_gets_nothing(
    world: World, at: int, letter: str, how: str, which: int
) -> None:
    code = str(world.mint().json()["code"])
    good = [code, world.secret]
    text = good[which]
    at %= len(text)
    put = {
        "put": text[:at] + letter + text[at + 1 :],
        "cut": text[:at] + text[at + 1 :],
        "add": text[:at] + letter + text[at:],
    }
    good[which] = put[how]
    if good[which] != text:
        answer = world.exchange(*good)
        assert answer.status_code in (400, 401), answer.content
    assert world.exchange(code).status_code == 200
    assert set(refusals()) <= {"unknown-code", "wrong-secret"}


@given(body=JSON)
@FEW
def test_no_body_breaks_an_exchange_or_a_mint(world: World, body: Any) -> None:
    for path, api in (
        ("/api/v1/previews/exchange", world.visitor.client),
        ("/api/v1/previews", world.as_edith.client),
    ):
        headers = (
            {"Authorization": f"Bearer {world.as_edith.credential}"} if path.endswith("previews") else {}
        )
        answer: Any = api.post(path, json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code == 400, (path, answer.content)


@given(text=st.text(max_size=80))
@MANY
def test_what_passes_for_a_code_is_one(text: str) -> None:
    assert not secrets.is_one(text, secrets.CODE)
    assert secrets.is_one(secrets.new(secrets.CODE), secrets.CODE)


# --- Addresses ------------------------------------------------------------------------------------------------------


ORIGIN: Final = "https://www.example.com"
PIECE: Final = st.sampled_from(
    ["{slug}", "{title}", "{_id}", "{_locale}", "/", "//", "?", "&", "=", "#", "@", ":", ";", "%", "%2f", "%00", "\\", "..", ".",
     "a", "path", "code", "{", "}", "{{slug}}", "{wage}", "{body}", "{x}", "\r\n", "\t", " ", "é", "https://evil.example", "javascript:"]
)  # fmt: skip
VALUE: Final = st.text(max_size=40) | st.sampled_from(
    ["//evil.example", "/\\evil.example", "@evil.example", "../../..", "..", ".", "\r\nLocation: https://evil.example", "%2f%2f", "&code=x",
     "#", "?", "javascript:alert(1)", "\u2028", "\x00", "a b", "é", "\ud83d\ude00", "-" * 400]
)  # fmt: skip


@pytest.fixture
def articles(world: World) -> CollectionSpec:
    del world
    return current().by_key["articles"]


@MANY
@given(pieces=st.lists(PIECE, max_size=8), slug=VALUE, title=VALUE, locale=st.sampled_from(["en", "pt-BR"]))
@example(["?path=/", "{slug}"], "//evil.example", "x", "en")
@example(["/", "{slug}", "/", "{title}"], "..", ".", "en")
@example(["{slug}"], "@evil.example/", "x", "en")
def test_no_value_moves_a_handoff_url(
    articles: CollectionSpec, pieces: list[str], slug: str, title: str, locale: str
) -> None:
    url = ORIGIN + "".join(pieces)
    try:
        stored = addresses.store(url, articles, [ORIGIN])
    except AddressError:
        return
    assert addresses.shown(stored, articles) == url
    values = {str(articles.by_key["slug"].id): slug, str(articles.by_key["title"].id): title}
    system = {"_id": str(UUID(int=1)), "_locale": locale, "_collection": "articles"}
    try:
        filled = addresses.filled(stored, articles, values, system)
    except MissingValueError:
        return
    final = addresses.with_code(filled, "qkpc_x")
    for made in (filled, final):
        parts = urlsplit(made)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "www.example.com", "")
        assert addresses.origin_in(made) == ORIGIN
        assert made.isascii()
        assert made.isprintable()
        assert " " not in made
        assert "\\" not in made
        # Each value is one piece of the address: it adds no part, no parameter, no step up.
        template = urlsplit(stored)
        assert parts.path.count("/") == template.path.count("/")
    before, after = parse_qsl(urlsplit(filled).query, True), parse_qsl(urlsplit(final).query, True)
    assert len(before) == len(parse_qsl(urlsplit(stored).query, True))
    assert after == [*before, ("code", "qkpc_x")]
    page = addresses.page_of(filled)
    assert page is None or (page.startswith(ORIGIN + "/") and not page.startswith(ORIGIN + "//"))
    assert page is None or (page.isascii() and page.isprintable())


def test_no_value_climbs_out_of_where_it_stands(articles: CollectionSpec) -> None:
    stored = addresses.store(f"{ORIGIN}/blog/{{slug}}/x", articles, [ORIGIN])
    slug = str(articles.by_key["slug"].id)
    assert addresses.filled(stored, articles, {slug: "..."}, {}) == f"{ORIGIN}/blog/.../x"
    for text in (".", ".."):  # percent-encoded they would be the same to browsers (WHATWG URL)
        with pytest.raises(MissingValueError):
            addresses.filled(stored, articles, {slug: text}, {})


@MANY
@given(slug=VALUE)
def test_a_value_comes_out_as_it_went_in(articles: CollectionSpec, slug: str) -> None:
    stored = addresses.store(f"{ORIGIN}/p/{{slug}}?path={{slug}}", articles, [ORIGIN])
    try:
        filled = addresses.filled(stored, articles, {str(articles.by_key["slug"].id): slug}, {})
    except MissingValueError:
        assert slug in ("", ".", "..")
        return
    except UnicodeError:
        assert any("\ud800" <= letter <= "\udfff" for letter in slug)
        return
    assert unquote(urlsplit(filled).path.removeprefix("/p/")) == slug
    assert parse_qs(urlsplit(filled).query)["path"] == [slug]


# Origins, but other ones.
OTHERS: Final = [
    "https://xn--exmple-cua.com", "https://www.example.com.evil.example", "https://www.example.com:444",
    "https://example.com", "https://evilwww.example.com", "https://www.example.comevil.example", "https://[::1]",
    "https://127.0.0.1",
]  # fmt: skip
# The site’s own, in another spelling.
SAME: Final = [
    "https://www.example.com:", "https://www.example.com:443", "HTTPS://www.example.com", "https://WWW.example.com",
]  # fmt: skip
# What no browser takes for the origin that it seems to name.
NONE: Final = [
    "//evil.example", "/\\evil.example", "https:evil.example", "https:///evil.example", "\t//evil.example",
    "@evil.example", "%2f%2fevil.example", "https://www.example.com@evil.example", "https://user@www.example.com",
    "https://user:pw@www.example.com", "https://www.example.com\r\nX: 1", "data:text/html,x", "javascript:alert(1)",
    "https://evil.example/https://www.example.com", "https://www.example.com:0", "https://www.example.com:99999",
    "https://WWW.example.com.", "http://www.example.com", "ftp://www.example.com",
    "https://www.example.com\\@evil.example", "https://www.example.com%00.evil.example",
    "https://www.example.com%2eevil.example", "https://www.exämple.com", "https://*.example.com",
    "https:\\\\www.example.com", "https:/www.example.com", " https://www.example.com", "https://www.example.com ",
    "HTTPS:www.example.com", "https://{slug}.example.com", "https://www.example.com{slug}",
    "https://www.example.com:{slug}", "{slug}", "blob:https://www.example.com", "view-source:https://www.example.com",
    "",
]  # fmt: skip


@pytest.mark.parametrize("start", [*OTHERS, *SAME, *NONE])
def test_a_handoff_url_is_on_an_origin_of_its_site_exactly(articles: CollectionSpec, start: str) -> None:
    assert addresses.store(f"{ORIGIN}/p?path=/{{slug}}", articles, [ORIGIN])
    for tail in ("", "/", "/p", "/p?path=/{slug}", "?path={slug}"):
        with pytest.raises(AddressError):
            addresses.store(start + tail, articles, [ORIGIN])


@pytest.mark.parametrize("text", NONE)
def test_an_origin_is_an_origin_and_nothing_else(text: str, settings: LazySettings) -> None:
    assert (
        addresses.origin_of(ORIGIN)
        == addresses.origin_of(ORIGIN + "/")
        == addresses.origin_of(ORIGIN + ":443")
        == ORIGIN
    )
    assert addresses.origin_of("HTTPS://WWW.EXAMPLE.COM") == ORIGIN
    settings.ENVIRONMENT = _production()
    with pytest.raises(AddressError):
        addresses.origin_of(text)
    with pytest.raises(AddressError):
        addresses.origin_of("http://localhost:3000")


def _production() -> Any:
    class Production:
        is_development = False

    return Production()


@MANY
@given(text=st.text(max_size=60) | st.lists(st.sampled_from(["https://", "http://", "www.example.com", "@", ":", "/", "\\", "443", "[", "]", "::1", ".", "%", "#", "?", "é", "\t", "\n", "{", "*", "a"]), max_size=7).map("".join))  # fmt: skip
def test_no_text_breaks_an_origin(text: str) -> None:
    try:
        origin = addresses.origin_of(text)
    except AddressError:
        return
    assert addresses.origin_of(origin) == origin
    parts = urlsplit(origin)
    assert f"{parts.scheme}://{parts.netloc}" == origin
    assert origin == origin.lower()
    assert parts.hostname
    assert origin.isascii()
    assert parts.username is None


def test_only_short_and_harmless_fields_stand_in_an_address(articles: CollectionSpec) -> None:
    for name in ("slug", "title", "_id", "_locale", "_collection"):
        assert addresses.store(f"{ORIGIN}/{{{name}}}", articles, [ORIGIN])
    for name in (
        "wage",
        "body",
        "related",
        "nothing",
        "_version",
        "__class__",
        "slug.x",
        "0",
        "",
        "slug!r",
        "slug:>9",
        "SLUG",
        "_created_by",
    ):
        with pytest.raises(AddressError):
            addresses.store(f"{ORIGIN}/{{{name}}}", articles, [ORIGIN])
    for url in (
        f"{ORIGIN}/p?code=x",
        f"{ORIGIN}/p?code",
        f"{ORIGIN}/p?a=1&code=",
        f"{ORIGIN}/p?%63ode=x",
        f"{ORIGIN}/p#x",
        f"{ORIGIN}/" + "x" * 1000,
    ):
        with pytest.raises(AddressError):
            addresses.store(url, articles, [ORIGIN])

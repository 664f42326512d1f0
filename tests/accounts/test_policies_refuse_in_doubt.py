"""The policy engine: nothing that is empty, null, unknown or odd ever comes out as "yes" (E1, E2)."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import (
    EVERY_FIELD,
    UNNAMED_FIELDS,
    Action,
    Area,
    Clause,
    Condition,
    FieldSet,
    Operator,
    Principal,
    Resource,
    Rule,
    Scopes,
    system,
)
from accounts.models import Policy, Role
from accounts.principals import condition_of, rule_of, scopes_of

COLLECTION = UUID(int=7)
FIELD = UUID(int=8)
scalars = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.floats(allow_nan=False))
odd: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.just([]),
    st.just({}),
    st.dictionaries(st.text(max_size=3), st.integers()),
    st.lists(st.none(), min_size=1),
)
names = st.sampled_from(["_id", "_created_by", "_locale", str(FIELD)])


def policy(**given_: Any) -> Policy:
    options: dict[str, Any] = {
        "id": uuid4(), "role": Role(key="editor", name="Editor"), "collection_id": COLLECTION,
        "every_collection": False, "actions": ["read"], "rows": [], "every_field": True, "field_ids": [], "presets": {},
    } | given_  # fmt: skip
    return Policy(**options)


def user(*rules: Rule, **options: Any) -> Principal:
    return Principal(kind="user", user_id=uuid4(), email="u@example.com", rules=rules, **options)


@given(names, st.sampled_from(Operator), odd)
def test_a_condition_without_a_proper_value_grants_nothing(
    name: str, operator: Operator, value: object
) -> None:
    assert rule_of(policy(rows=[[name, operator.value, value]]), is_public=False) is None or operator in (
        Operator.IN,
        Operator.NIN,
    )
    with pytest.raises(ValueError):
        condition_of([name, operator.value, value])


@given(st.text(max_size=12).filter(lambda text: text not in set(Operator)), scalars)
def test_an_unknown_operator_grants_nothing(operator: str, value: object) -> None:
    assert rule_of(policy(rows=[["_id", operator, value]]), is_public=False) is None


@given(
    st.one_of(
        st.fixed_dictionaries(
            {"actions": st.lists(st.text(max_size=6).filter(lambda t: t not in set(Action)), min_size=1)}
        ),
        st.fixed_dictionaries(
            {"rows": st.one_of(st.none(), st.integers(), st.lists(scalars, min_size=1, max_size=4))}
        ),
        st.fixed_dictionaries({"field_ids": st.lists(st.text(max_size=4), min_size=1)}),
        st.just({"collection_id": None}),
    )
)
def test_a_row_that_makes_no_sense_grants_nothing(broken: dict[str, Any]) -> None:
    if broken.get("rows") == []:
        return
    assert rule_of(policy(**broken), is_public=False) is None


@pytest.mark.parametrize("variable", ["$user", "$user.email"])
@pytest.mark.parametrize("operator", [Operator.EQ, Operator.NE, Operator.IN, Operator.NIN, Operator.GT])
def test_a_variable_without_a_value_denies(variable: str, operator: Operator) -> None:
    value: Any = (variable, "x") if operator in (Operator.IN, Operator.NIN) else variable
    rule = Rule(
        COLLECTION, frozenset({Action.READ}), (Condition("_created_by", operator, value),), UNNAMED_FIELDS
    )
    nobody = Principal(kind="anonymous", rules=(rule,))
    somebody = user(rule)
    assert not nobody.grant(Action.READ, on=Resource(COLLECTION))
    assert somebody.grant(Action.READ, on=Resource(COLLECTION))


class Item:
    def __init__(self, id: UUID, data_class: str = "public") -> None:  # noqa: A002
        self.id, self.data_class = id, data_class


field_sets = st.builds(
    FieldSet,
    st.frozensets(st.builds(UUID, int=st.integers(1, 5))),
    st.frozensets(st.sampled_from(["public", "internal", "personal", "secret"])),
)
conditions = st.builds(lambda v: (Condition("_locale", Operator.EQ, v),), st.sampled_from("abc"))
rules = st.builds(
    Rule,
    st.sampled_from([None, COLLECTION, UUID(int=9)]),
    st.frozensets(st.sampled_from(Action)),
    st.one_of(st.just(()), conditions),
    field_sets,
)


@given(
    st.lists(rules, max_size=5),
    st.sampled_from(Action),
    st.integers(1, 5),
    st.sampled_from(["public", "secret"]),
)
def test_a_clause_never_has_more_than_the_one_rule_it_came_from(
    given_: list[Rule], action: Action, number: int, data_class: str
) -> None:
    """Overlapping policies are a list, never a union: rows of one with fields of another (GHSA-99vm-5v2h-h6r6)."""
    grant = user(*given_).grant(action, on=Resource(COLLECTION))
    item = Item(UUID(int=number), data_class)
    for clause in grant.holding(item):
        assert any(
            rule.rows == clause.rows
            and rule.fields.allows(item)
            and rule.covers(action, Resource(COLLECTION))
            for rule in given_
        )
    covering = [rule for rule in given_ if rule.covers(action, Resource(COLLECTION))]
    assert bool(grant) == bool(covering)


def test_two_policies_do_not_add_up() -> None:
    one, two = Item(UUID(int=1)), Item(UUID(int=2))
    mine, french = (Condition("_created_by", Operator.EQ, "x"),), (Condition("_locale", Operator.EQ, "fr"),)
    grant = user(
        Rule(COLLECTION, frozenset({Action.UPDATE}), mine, FieldSet(frozenset({one.id}))),
        Rule(COLLECTION, frozenset({Action.UPDATE}), french, FieldSet(frozenset({two.id}))),
    ).grant(Action.UPDATE, on=Resource(COLLECTION))
    assert [clause.rows for clause in grant.holding(one)] == [mine]
    assert [clause.rows for clause in grant.holding(two)] == [french]


@given(
    st.lists(rules, max_size=4),
    st.sampled_from(Action),
    st.frozensets(st.tuples(st.sampled_from([None, COLLECTION]), st.sampled_from(Action))),
)
def test_scopes_only_take_away(
    given_: list[Rule], action: Action, scopes: frozenset[tuple[UUID | None, Action]]
) -> None:
    whole = user(*given_).grant(action, on=Resource(COLLECTION))
    cut = user(*given_, scopes=Scopes(scopes, frozenset())).grant(action, on=Resource(COLLECTION))
    covered = (None, action) in scopes or (COLLECTION, action) in scopes
    assert cut.clauses == (whole.clauses if covered else ())


@given(st.sampled_from(Action))
def test_star_does_not_cover_what_is_personal_or_secret(action: Action) -> None:
    rule = rule_of(policy(actions=[action.value]), is_public=False)
    assert rule is not None
    allowed = {
        name: rule.fields.allows(Item(FIELD, name))
        for name in ("public", "internal", "personal", "secret", "new")
    }
    assert allowed == {"public": True, "internal": True, "personal": False, "secret": False, "new": False}


def test_star_for_everybody_covers_public_fields_only() -> None:
    rule = rule_of(policy(actions=["read", "update"]), is_public=True)
    assert rule is not None
    assert [
        name for name in ("public", "internal", "personal", "secret") if rule.fields.allows(Item(FIELD, name))
    ] == ["public"]
    assert rule.actions == {Action.READ}


def test_nobody_starts_with_anything() -> None:
    for principal in (Principal(kind="anonymous"), user(), user(roles=("administrator",))):
        assert not any(principal.grant(action, on=Resource(uuid4())) for action in Action)
        assert not any(principal.administers(area) for area in Area)


def test_administrators_and_the_system_have_everything() -> None:
    for principal in (user(is_administrator=True), system("test")):
        assert principal.grant(Action.PURGE, on=Resource(uuid4())).clauses == (Clause((), EVERY_FIELD),)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"actions": [["*", "fly"]], "areas": []},
        {"actions": [["x", "read"]], "areas": []},
        {"actions": [], "areas": ["x"]},
    ],
)
def test_scopes_that_make_no_sense_cover_nothing(raw: object) -> None:
    assert scopes_of(raw) == Scopes(frozenset(), frozenset())

"""Whatever somebody may hand out, the receiver sees no row and no field by it that the giver does not see (E27, D1)."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from accounts.access import (
    UNNAMED_FIELDS,
    UNNAMED_PUBLIC_FIELDS,
    Action,
    Condition,
    FieldSet,
    Operator,
    Principal,
    Resource,
    Rule,
)
from accounts.errors import NotAllowedError
from accounts.rights.granting import require_to_hold_rules
from tests.accounts.test_policies_refuse_in_doubt import Item

HERE, THERE = UUID(int=7), UUID(int=8)
GIVER, RECEIVER = UUID(int=1), UUID(int=2)
values = st.sampled_from(["$user", str(GIVER), str(RECEIVER), "x"])
conditions = st.builds(Condition, st.sampled_from(["_created_by", "_locale"]), st.just(Operator.EQ), values)
field_sets = st.builds(
    FieldSet,
    st.frozensets(st.sampled_from([UUID(int=11), UUID(int=12)])),
    st.sampled_from([frozenset(), UNNAMED_FIELDS.classes, UNNAMED_PUBLIC_FIELDS.classes]),
)
rules = st.builds(
    Rule,
    st.sampled_from([None, HERE, THERE]),
    st.frozensets(st.sampled_from([Action.READ, Action.UPDATE]), min_size=1),
    st.lists(conditions, max_size=2).map(tuple),
    field_sets,
)
rows = st.fixed_dictionaries(
    {"_created_by": values.filter(lambda v: v != "$user"), "_locale": st.just("x") | st.just("y")}
)
items = st.builds(
    Item,
    st.sampled_from([UUID(int=11), UUID(int=12), UUID(int=13)]),
    st.sampled_from(["public", "internal", "personal"]),
)


def who(user_id: UUID, *held: Rule) -> Principal:
    return Principal(kind="user", user_id=user_id, email="u@example.com", rules=held)


def sees(principal: Principal, action: Action, where: UUID, row: dict[str, str], item: Item) -> bool:
    return any(
        all(row[condition.name] == condition.value for condition in clause.rows)
        and clause.fields.allows(item)
        for clause in principal.grant(action, on=Resource(where)).clauses
    )


@given(
    st.lists(rules, max_size=3),
    rules,
    st.sampled_from([Action.READ, Action.UPDATE]),
    st.sampled_from([HERE, THERE]),
    rows,
    items,
)
def test_what_is_handed_out_was_held(
    held: list[Rule], rule: Rule, action: Action, where: UUID, row: dict[str, str], item: Item
) -> None:
    giver = who(GIVER, *held)
    try:
        require_to_hold_rules(giver, [rule])
    except NotAllowedError:
        return
    if sees(who(RECEIVER, rule), action, where, row, item):
        assert sees(giver, action, where, row, item)


@given(rules.filter(lambda rule: not any(row.value == "$user" for row in rule.rows)))
def test_what_is_held_without_reference_to_oneself_can_be_handed_out(rule: Rule) -> None:
    require_to_hold_rules(who(GIVER, rule), [rule])

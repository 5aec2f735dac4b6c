"""How targets are written: shares and amounts, told apart by their form."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from spectral_engine.records.target import Limit, Target, read_drop

# Field, as written, what it allows of an original that takes 8 of it.
FORMS: list[tuple[str, Any, float]] = [
    ("max_macs", 0.5, 4),
    ("max_macs", 1, 8),
    ("max_macs", "0.5", 4),
    ("max_macs", "50%", 4),
    ("max_macs", "12.5 %", 1),
    ("max_macs", 5_000_000, 5e6),
    ("max_macs", "5000000", 5e6),
    ("max_macs", "5M", 5e6),
    ("max_macs", "2.5 k", 2500),
    ("max_macs", "1e3", 1000),
    ("max_macs", {"G": 1.5}, 1.5e9),
    ("max_macs", {"macs": 0.5}, 0.5),
    ("max_params", "5k", 5000),
    ("max_params", {"params": 7}, 7),
    ("max_bytes", {"bytes": 500_000}, 5e5),
    ("max_bytes", "500kB", 5e5),
    ("max_bytes", "3B", 3),
    ("max_bytes", "1 MiB", 2**20),
    ("max_bytes", "2KiB", 2048),
    ("max_bytes", "0.5GB", 5e8),
    ("max_bytes", "1B", 1),
    ("max_bytes", 1, 8),
    ("max_latency_ms", 0.5, 4),
    ("max_latency_ms", {"ms": 0.5}, 0.5),
    ("max_latency_ms", "0.5ms", 0.5),
    ("max_latency_ms", "500us", 0.5),
    ("max_latency_ms", {"us": 300}, 0.3),
    ("max_latency_ms", "0.0003s", 0.3),
    ("max_latency_ms", 1.5, 1.5),
]
REFUSED: list[tuple[str, Any]] = [
    ("max_macs", "5ms"),
    ("max_macs", "5MB"),
    ("max_macs", {"ms": 5}),
    ("max_params", "5B"),
    ("max_bytes", "5M"),
    ("max_bytes", "5 kb"),
    ("max_latency_ms", "5kB"),
    ("max_latency_ms", "5 minutes"),
    ("max_latency_ms", {"ms": 1, "s": 1}),
    ("max_latency_ms", {}),
    ("max_latency_ms", {"ms": "1"}),
    ("max_latency_ms", {"ms": 0}),
    ("max_latency_ms", {"ms": True}),
    ("max_macs", Limit(0.5, "ms")),
    ("max_macs", 0),
    ("max_macs", -5),
    ("max_macs", "-5"),
    ("max_macs", "0%"),
    ("max_macs", "100.1%"),
    ("max_macs", True),
    ("max_macs", [5]),
    ("max_macs", ""),
    ("max_macs", "%"),
    ("max_macs", "many"),
    ("max_macs", float("nan")),
    ("max_macs", float("inf")),
    ("max_macs", 10**400),
    ("max_macs", "1e999"),
    ("max_macs", "9" * 1000),
]
LIMITED = ("max_macs", "max_params", "max_bytes", "max_latency_ms")
UNITS = {
    "max_macs": ("macs", "k", "M", "G"),
    "max_params": ("params", "k", "M", "G"),
    "max_bytes": ("bytes", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB"),
    "max_latency_ms": ("ms", "us", "s"),
}
EXAMPLES = {"max_macs": "5M", "max_params": "5M", "max_bytes": "500kB", "max_latency_ms": "0.5ms"}


@pytest.mark.parametrize(("field", "written", "allowed"), FORMS)
def test_a_limit_allows_what_its_form_says(field, written, allowed):
    limit = getattr(Target(**{field: written}), field)
    assert limit.of(8.0) == allowed


@pytest.mark.parametrize(("field", "written"), REFUSED)
def test_what_is_no_limit_is_refused_by_field_with_the_ways_to_write_it(field, written):
    with pytest.raises(InvalidRequest) as caught:
        se.Recipe.parse({"target": {field: written}})
    assert caught.value.pointer == f"#/recipe/target/{field}"
    for way in ("0.5", "50%", EXAMPLES[field], *UNITS[field]):
        assert way in caught.value.detail


@pytest.mark.parametrize("field", ["keep_nodes", "density"])
def test_shares_of_nodes_and_links_are_never_amounts(field):
    for written in (0.25, "0.25", "25%", "25 %"):
        assert getattr(Target(**{field: written}), field) == 0.25
    for written in (2, "2", "200%", 0, "0%", "5k", {"nodes": 5}, "half"):
        with pytest.raises(ValidationError) as caught:
            Target(**{field: written})
        assert caught.value.errors()[0]["loc"][0] == field


def test_bare_numbers_of_stored_recipes_are_written_back_as_they_are():
    stored = {"max_macs": 0.4, "max_params": 5e6, "max_bytes": 1.0, "max_latency_ms": 2.5}
    assert Target(**stored).model_dump(mode="json", include=set(stored)) == stored


POSITIVE = st.floats(min_value=1e-12, max_value=1e15)
SHARES = st.floats(min_value=1e-9, max_value=1.0)


def limits(field: str) -> st.SearchStrategy[Any]:
    units = st.sampled_from(UNITS[field])
    return st.one_of(
        POSITIVE,
        st.integers(1, 10**15),
        st.builds(lambda share: f"{100 * share:.12f}%", SHARES),
        st.builds(lambda number, unit: f"{number!r}{unit}", POSITIVE, units),
        st.builds(lambda number, unit: {unit: number}, POSITIVE, units),
    )


TARGETS = st.fixed_dictionaries(
    {},
    optional={field: limits(field) for field in LIMITED}
    | {"keep_nodes": SHARES, "max_metric_drop": SHARES},
)


@settings(deadline=None)
@given(TARGETS)
def test_a_recipe_reads_back_from_its_json_as_the_same_recipe(target):
    recipe = se.Recipe(target=target)
    text = recipe.model_dump_json()
    assert se.Recipe.parse(text) == recipe
    assert se.Recipe.parse(recipe.model_dump(mode="json")) == recipe
    assert se.Recipe.parse(recipe.model_dump()) == recipe
    assert se.Recipe.parse(text).model_dump_json() == text


SCHEMAS = [
    jsonschema.Draft202012Validator(Target.model_json_schema(mode="validation")),
    jsonschema.Draft202012Validator(Target.model_json_schema(mode="serialization")),
]


@settings(deadline=None)  # the machine may be busy
@given(TARGETS)
def test_the_schema_allows_what_is_read_and_what_is_written(target):
    for schema in SCHEMAS:
        schema.validate(target)
        schema.validate(json.loads(Target(**target).model_dump_json()))


def test_the_schema_refuses_units_of_other_fields():
    for wrong in ({"max_macs": "5ms"}, {"max_bytes": {"ms": 1}}, {"max_latency_ms": "5kB"}):
        assert not any(schema.is_valid(wrong) for schema in SCHEMAS)


def test_a_drop_is_read_in_points_as_before():
    assert Target(max_metric_drop="1pt").max_metric_drop == read_drop("1%") == 0.01

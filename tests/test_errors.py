"""Messages name the nearest valid choice, and what they advise can be had apart from what is wrong."""

from __future__ import annotations

import pickle

import pytest

from munet.errors import CorruptionError, UserError, did_you_mean, nearest

LETTERS = [f"{letter}{letter}{letter}" for letter in "abcdefghijklmnop"]


@pytest.mark.parametrize(
    ("given", "choices", "expected"),
    [
        ("digts", ["digits", "glyphs"], "Did you mean 'digits'?"),
        ("task2", ["task0", "task1", "other"], "Did you mean 'task1' or 'task0'?"),
        ("x", ["b", "a", "b"], "Valid: a, b."),
        ("x", [], "There is nothing to choose from."),
        ("x", LETTERS[:12], "Valid: " + ", ".join(LETTERS[:12]) + "."),
        ("x", LETTERS, "Valid: " + ", ".join(LETTERS[:12]) + " and 4 more."),
    ],
)
def test_the_nearest_choices_are_named_else_the_valid_ones(given: str, choices: list[str], expected: str) -> None:
    assert nearest(given, choices) == expected
    assert did_you_mean(given, choices) == (expected if expected.startswith("Did you mean") else "")


def test_a_list_of_choices_may_begin_otherwise() -> None:
    assert nearest("x", ["a", "b"], listed="It has") == "It has: a, b."
    assert nearest("digts", ["digits"], listed="It has") == "Did you mean 'digits'?"


def test_advice_stands_apart_and_ends_the_message() -> None:
    made = CorruptionError("a.json is missing.", "Restore it.")
    for error in (made, pickle.loads(pickle.dumps(made))):
        assert str(error) == "a.json is missing. Restore it."
        assert (error.text, error.advice) == ("a.json is missing.", "Restore it.")
    plain = UserError("There is no run.")
    assert (str(plain), plain.text, plain.advice) == ("There is no run.", "There is no run.", "")

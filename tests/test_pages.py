"""Hashes of the scripts of pages, as browsers work them out; what a page may do; data inside of it."""

from __future__ import annotations

import json

from munet.pages import data_text, elements, inline_hash, policy


def test_the_hash_is_that_of_what_stands_between_the_tags() -> None:
    # From the example of the CSP specification, section 2.3.1.
    page = "<html><style>x</style><script>doSomething();</script></html>"
    assert inline_hash("script", page) == "sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc="
    assert inline_hash("style", page) != inline_hash("script", page)


def test_the_policy_names_every_element_of_ones_own_and_nothing_else() -> None:
    page = '<style>x</style><script>a</script><script type="application/json">b</script><script>c</script>'
    found = policy(elements("script", page), elements("style", page), "connect-src 'self'")
    assert found.startswith("default-src 'none'; ")
    assert found.count("'sha256-") == 3
    assert f"script-src '{inline_hash('script', page)}' " in found
    assert found.endswith("; connect-src 'self'")


def test_data_cannot_end_its_element() -> None:
    value = {"</script><!--": ["a&b", "\u202e\u05d0", 1.5]}
    text = data_text(value)
    assert not set("<>&") & set(text)
    assert json.loads(text) == value

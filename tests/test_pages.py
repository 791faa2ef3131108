"""Hashes of the scripts of pages, as browsers work them out."""

from __future__ import annotations

from munet.pages import inline_hash


def test_the_hash_is_that_of_what_stands_between_the_tags() -> None:
    # From the example of the CSP specification, section 2.3.1.
    page = "<html><style>x</style><script>doSomething();</script></html>"
    assert inline_hash("script", page) == "sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc="
    assert inline_hash("style", page) != inline_hash("script", page)

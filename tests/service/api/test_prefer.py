"""`Prefer: wait=N`, as RFC 7240 writes it."""

import pytest

from service.api.prefer import preferred_wait


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["respond-async, wait=10"], 10),
        (["respond-async", "Wait=10"], 10),
        (['wait="5"; foo'], 5),
        (["wait = 7"], 7),
        (["wait=3, wait=9"], 3),
        (["respond-async"], 0),
        (["return=minimal"], None),
        (["wait=soon"], None),
        (["wait=-1"], None),
        (["await=1"], None),
        (["wait=" + "9" * 5000], None),
    ],
)
def test_the_seconds_are_read_and_what_is_none_is_passed_over(lines, seconds):
    assert preferred_wait(lines) == seconds

"""What the engine's process tells its worker: whole messages, however the pipe cuts them."""

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from worker.messages import LineReader, encode

TEXTS = st.text(max_size=20)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
MESSAGES = st.lists(st.dictionaries(TEXTS, VALUES | st.lists(VALUES, max_size=3), max_size=4))


@given(MESSAGES, st.integers(1, 50))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(messages, size):
    stream = b"".join(map(encode, messages))
    reader = LineReader()
    arrived = [
        message
        for start in range(0, len(stream), size)
        for message in reader.feed(stream[start : start + size])
    ]
    finite = [
        json.loads(json.dumps(one, default=str), parse_constant=lambda _: None) for one in messages
    ]
    assert arrived == finite


def test_numbers_that_json_lacks_become_null_and_paths_become_texts():
    message = {"loss": math.nan, "all": [math.inf, 1.5], "path": Path("/a/b")}
    assert json.loads(encode(message)) == {"loss": None, "all": [None, 1.5], "path": "/a/b"}


def test_what_is_no_message_is_passed_over():
    reader = LineReader()
    assert reader.feed(b'print!\n[1]\n{"a": 1}\n{"b"') == [{"a": 1}]
    assert reader.feed(b": 2}\n") == [{"b": 2}]

"""Files of every kind under no name at all: read, or refused by what they are and what to give instead."""

import gzip
import io
import json
import sqlite3
from contextlib import suppress

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch, EngineError

FEATURES = InputSpec("x", np.dtype(np.float32), (None, 3))
X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
TABLE = pa.table({**{name: X[:, n] for n, name in enumerate("abc")}, "label": np.arange(60) % 3})
RECORDS = [{"a": 1.5, "b": 2.5, "c": 3.5, "label": n % 3} for n in range(60)]


def written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def stream():
    buffer = io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return buffer.getvalue()


def model():
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    return onnx.helper.make_model(graph).SerializeToString()


def database(folder):
    with sqlite3.connect(folder / "db") as open_one:
        open_one.execute("create table t (a)")
    return (folder / "db").read_bytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_arrow_stream_is_read(tmp_path, pack):
    (tmp_path / "d").write_bytes(pack(stream()))
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    rows = np.concatenate([part.inputs["x"] for part in splits.parts])
    np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], X[np.argsort(X[:, 0])])
    assert sorted(splits.labels) == sorted(np.arange(60) % 3)


KINDS = {
    "JSON rows": (json.dumps(RECORDS).encode(), r"JSON: .*read_json"),
    "JSON indented": (json.dumps({"rows": RECORDS}, indent=2).encode(), r"JSON: .*read_json"),
    "JSON with a mark": (b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(), r"JSON: .*read_json"),
    "JSON lines": ("\n".join(map(json.dumps, RECORDS)).encode(), r"JSON lines: .*lines=True"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "download the file itself"),
    "XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "download"),
    "git-LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "git lfs pull"),
    "ORC": (written(lambda buffer: pyarrow.orc.write_table(TABLE, buffer)), "ORC file: .*Parquet or CSV"),
    "Avro": (b"Obj\x01\x02\x16avro.schema", "Avro file: .*Parquet or CSV"),
    "ONNX": (model(), "ONNX model: give the model first"),
    "R": (gzip.compress(b"RDX3\nX\n" + b"\0" * 50), "R file: .*write.csv"),
    "an image": (b"GIF89a" + b"\0" * 50, "one image"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_read_is_refused_by_what_it_is(tmp_path, kind):
    content, said = KINDS[kind]
    (tmp_path / "d.csv").write_bytes(content)  # a name says nothing
    with pytest.raises(DatasetMismatch, match=f"the file is .*{said}") as refused:
        load_splits(tmp_path / "d.csv", [FEATURES], seed=0)
    assert refused.value.pointer == "#/file"


def test_a_database(tmp_path):
    (tmp_path / "d").write_bytes(database(tmp_path))
    with pytest.raises(DatasetMismatch, match=r"SQLite database: .*CSV or Parquet"):
        load_splits(tmp_path / "d", [FEATURES], seed=0)


@pytest.mark.parametrize("names", ["ORC,b,c", "[a],[b],[c]", "{a},b,c", "<a>,b,c", "Obj,b,c"])
def test_tables_whose_names_begin_alike_are_tables(tmp_path, names):
    rows = [f"{','.join(map(str, row.round(3).tolist()))},{n % 3}" for n, row in enumerate(X)]
    (tmp_path / "d").write_text("\n".join([f"{names},label", *rows]))
    assert load_splits(tmp_path / "d", [FEATURES], seed=0).feature_names == names.split(",")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["stream", *KINDS]), st.floats(0, 1), st.binary(max_size=8), st.booleans())
def test_a_damaged_file_is_read_or_refused_and_never_a_traceback(
    tmp_path_factory, kind, at, put, cut
):
    content = bytearray(stream() if kind == "stream" else KINDS[kind][0])
    start = int(at * len(content))
    content[start : len(content) if cut else start + len(put)] = put
    path = tmp_path_factory.mktemp("fuzz") / "d"
    path.write_bytes(bytes(content))
    with suppress(EngineError):  # and nothing else
        load_splits(path, [FEATURES], seed=0)

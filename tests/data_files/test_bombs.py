"""Small files that unpack to much are refused while they are counted, and headers that lie are told as such."""

import gzip
import resource
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from spectral_engine.data.allowance import VARIABLE
from spectral_engine.data.loading import load_splits
from spectral_engine.data.reading import npz
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from tests.support.raw_archives import npy_header, npy_text, packed, write_zip

SPEC = InputSpec("x", np.dtype(np.float32), (None, 4))
SPENT = 900 * 2**20
ZEROS = 2**26
PREFIXES = {**dict.fromkeys("abcd", "PLAIN"), "label": "DELTA_BYTE_ARRAY"}


def refused(path: Path) -> DatasetMismatch:
    """Return why a file is not read, and see that little memory was taken to tell."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with pytest.raises(DatasetMismatch) as error:
        load_splits(path, [SPEC], seed=0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < SPENT
    return error.value


class TestArrays:
    def test_many_small_arrays_are_as_much_as_a_large_one(self, tmp_path):
        rows = ZEROS // 16
        one = packed(npy_header((rows, 4)), rows * 16)
        path = write_zip(tmp_path / "d.npz", {f"x{at}.npy": one for at in range(200)})
        assert path.stat().st_size < 2**24
        assert "the data take" in refused(path).detail

    def test_what_is_more_than_memory_should_hold_lies_on_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(npz, "IN_MEMORY_BYTES", 2**22)
        rows = 2**16
        one = packed(npy_header((rows, 4)), rows * 16)
        path = write_zip(tmp_path / "d.npz", {f"x{at}.npy": one for at in range(6)})
        arrays = npz.read_npz(path)
        assert sum(isinstance(array, np.memmap) for array in arrays.values()) == 2
        assert all(array.shape == (rows, 4) for array in arrays.values())

    def test_the_limit_is_what_the_environment_says(self, tmp_path, monkeypatch):
        np.savez(tmp_path / "d.npz", x=np.zeros((100, 4), np.float32), y=np.arange(100) % 2)
        monkeypatch.setenv(VARIABLE, "1000")
        assert "at most 1,000 are allowed" in refused(tmp_path / "d.npz").detail
        monkeypatch.setenv(VARIABLE, "a lot")
        with pytest.raises(InvalidRequest, match="no number of bytes"):
            load_splits(tmp_path / "d.npz", [SPEC], seed=0)

    @pytest.mark.parametrize(
        "member",
        {
            "brackets without end": packed(b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000),
            "more rows than any disk": packed(npy_header((10**12, 64)), 1000),
            "fewer bytes than the archive says": packed(npy_header((100, 64)), 0, 25_728),
            "lengths below zero": packed(npy_header((-10, -64)), 2560),
            "a length that is no number": packed(npy_header((True, 64)), 256),
            "seventy axes": packed(npy_header((1,) * 70), 4),
            "numbers of no bytes": packed(npy_header((10**12,), "|S0")),
            "a header of gigabytes": packed(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 99),
            "an unknown version": packed(b"\x93NUMPY\x09\x00" + b" " * 99),
            "a header that is cut off": packed(b"\x93NUMPY\x02\x00\x01"),
            "a word in place of a header": packed(npy_text("os.system")),
        }.items(),
        ids=lambda member: member[0],
    )  # fmt: skip
    def test_a_header_that_is_none_is_the_data_s_fault(self, tmp_path, member):
        path = write_zip(tmp_path / "d.npz", {"x.npy": member[1]})
        assert refused(path).pointer == "#/x"


class TestTables:
    def test_compressed_text_is_counted_while_it_is_unpacked(self, tmp_path, monkeypatch):
        monkeypatch.setenv(VARIABLE, "4000000")
        with gzip.open(tmp_path / "d.csv.gz", "wb", compresslevel=1) as file:
            file.write(b"a,b,c,d,label\n")
            file.write(b"0.5,0.5,0.5,0.5,1\n" * 400_000)
        assert "the gzip file" in refused(tmp_path / "d.csv.gz").detail

    @pytest.mark.parametrize(
        "more",
        [{"use_dictionary": True}, {"use_dictionary": False, "column_encoding": PREFIXES}],
        ids=["in a dictionary", "as prefixes"],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
    def test_a_long_text_that_all_rows_share(self, tmp_path, more, kind):
        rows = 300
        label = pa.array(["A" * 2**20] * rows, kind)
        table = pa.table({**{name: np.zeros(rows, np.float32) for name in "abcd"}, "label": label})
        pyarrow.parquet.write_table(table, tmp_path / "d.parquet", compression="zstd", **more)
        assert (tmp_path / "d.parquet").stat().st_size < 2**21
        assert "column 'label'" in refused(tmp_path / "d.parquet").detail

    def test_a_list_that_is_as_wide_as_a_table_is_long(self, tmp_path):
        values = pa.FixedSizeListArray.from_arrays(np.zeros(2 * 2**19, np.int8), 2**19)
        table = pa.table({"x": values, "label": [0, 1]})
        pyarrow.parquet.write_table(table, tmp_path / "d.parquet", compression="zstd")
        assert "lists of 524,288 numbers" in refused(tmp_path / "d.parquet").detail

    @pytest.mark.parametrize("stream", [True, False])
    def test_compressed_batches_are_counted_one_by_one(self, tmp_path, stream):
        batch = pa.record_batch({name: np.zeros(2**18) for name in "abcde"})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        new = pa.ipc.new_stream if stream else pa.ipc.new_file
        with new(str(tmp_path / "d"), batch.schema, options=options) as writer:
            for _ in range(40):
                writer.write_batch(batch)
        assert (tmp_path / "d").stat().st_size < 2**20
        assert "the data take" in refused(tmp_path / "d").detail

    def test_one_long_label_makes_all_as_long(self, tmp_path):
        lines = ["a,b,c,d,label", *("0,0,0,0,b" for _ in range(5000)), f"0,0,0,0,{'c' * 2_000_000}"]
        (tmp_path / "d.csv").write_text("\n".join(lines))
        assert "texts of up to 2,000,000 signs" in refused(tmp_path / "d.csv").detail

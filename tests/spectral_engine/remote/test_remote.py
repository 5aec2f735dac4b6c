"""Data and models by URL: copied whole, gone on with, bounded, and from nowhere but where the list allows."""

import io
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import spectral_engine as se
from service.cli.app import app
from spectral_engine.errors import DatasetMismatch, InvalidRequest, ModelInvalid
from spectral_engine.remote import allowed, copies, copying, on_this_machine
from tests.support.digits import save_digits, save_model
from tests.support.file_server import serving, tag_of

LARGE = np.random.default_rng(0).bytes(3_000_000)
LIST = allowed.VARIABLE
QUICK = {
    "target": {"max_macs": 0.7},
    "training": {"epochs": 1},
    "prune": {"candidates": 1},
}


@pytest.fixture
def server(monkeypatch):
    with serving() as running:
        monkeypatch.setenv(LIST, running.url)
        monkeypatch.setattr(copying, "PAUSE_SECONDS", 0)
        yield running


@pytest.fixture
def bucket(server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        LIST: "s3://bucket/sets",
    }.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[bytes, bytes]:
    """Return a trained model and its data, as files hold them."""
    folder = tmp_path_factory.mktemp("files")
    model = save_model(folder / "m.onnx")
    return Path(model).read_bytes(), save_digits(folder / "d.npz").read_bytes()


def copied(url, work_dir=None, field="data") -> bytes:
    with on_this_machine(url, field, work_dir) as path:
        return path.read_bytes()


class TestHttps:
    def test_a_file_arrives_whole(self, server):
        server.files["/a/x.npz"] = LARGE
        assert copied(f"{server.url}/a/x.npz") == LARGE

    def test_a_copy_that_broke_off_goes_on_where_it_stood(self, server):
        server.files["/x"] = LARGE
        server.breaks = [1_000_000, 500_000]
        assert copied(f"{server.url}/x") == LARGE
        assert server.asked == [
            ("/x", None), ("/x", "bytes=1000000-"), ("/x", "bytes=1500000-"),
        ]  # fmt: skip

    def test_a_file_that_changed_meanwhile_is_copied_from_its_beginning(self, server, tmp_path):
        server.files["/x"] = LARGE
        server.breaks = [100_000] * copying.TRIES
        with pytest.raises(DatasetMismatch, match="broken off"):
            copied(f"{server.url}/x", tmp_path)
        server.breaks, server.files["/x"] = [], LARGE[::-1]
        assert copied(f"{server.url}/x", tmp_path) == LARGE[::-1]

    def test_what_lies_in_the_work_dir_is_not_asked_for_again(self, server, tmp_path):
        server.files["/x"] = LARGE
        assert copied(f"{server.url}/x", tmp_path) == copied(f"{server.url}/x", tmp_path)
        assert len(server.asked) == 1

    def test_a_copy_goes_when_it_is_no_longer_needed(self, server):
        server.files["/x"] = LARGE
        with on_this_machine(f"{server.url}/x", "data") as path:
            assert path.exists()
        assert not path.exists()

    def test_numbered_files_are_a_folder(self, server):
        server.files |= {f"/s/a-{n:03}.tar": b"%d" % n for n in (9, 10, 11)}
        with on_this_machine(server.url + "/s/a-{009..011}.tar", "data") as folder:
            names = {one.name: one.read_bytes() for one in folder.iterdir()}
        assert names == {"a-009.tar": b"9", "a-010.tar": b"10", "a-011.tar": b"11"}

    def test_what_does_not_exist_is_told_by_its_url_without_its_query(self, server):
        with pytest.raises(DatasetMismatch, match=r"/none is answered by 404") as error:
            copied(f"{server.url}/none?signature=secret")
        assert "secret" not in error.value.detail
        with pytest.raises(ModelInvalid, match="404"):
            copied(f"{server.url}/none", field="model")

    def test_more_than_the_limit_is_refused(self, server, monkeypatch):
        monkeypatch.setattr(copies, "MOST_BYTES", 2_000_000)
        server.files["/x"] = LARGE
        with pytest.raises(DatasetMismatch, match="more than the 2,000,000 bytes"):
            copied(f"{server.url}/x")

    def test_more_than_the_disk_holds_is_refused(self, server, monkeypatch):
        server.files["/x"] = LARGE
        monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: type("", (), {"free": 10}))
        with pytest.raises(DatasetMismatch, match="set TMPDIR to a larger disk"):
            copied(f"{server.url}/x")


class TestWhatIsAllowed:
    def test_a_redirect_within_the_list_is_followed(self, server):
        server.files["/there"] = b"1"
        server.redirects["/x"] = f"{server.url}/there"
        assert copied(f"{server.url}/x") == b"1"

    def test_a_redirect_out_of_the_list_is_refused_before_it_is_asked(self, server):
        with serving() as other:
            other.files["/x"] = b"1"
            server.redirects["/x"] = f"{other.url}/x"
            with pytest.raises(InvalidRequest, match=f"{other.url}/x may not be read"):
                copied(f"{server.url}/x")
            assert other.asked == []

    @pytest.mark.parametrize("path", ["/sets/../x", "/sets/%2e%2e/x", "/setsuna/x", "/x"])
    def test_a_listed_folder_allows_what_lies_in_it(self, path, server, monkeypatch):
        monkeypatch.setenv(LIST, f"{server.url}/sets")
        server.files["/sets/x"] = b"1"
        assert copied(f"{server.url}/sets/x") == b"1"
        with pytest.raises(InvalidRequest) as error:
            copied(f"{server.url}{path}")
        assert error.value.pointer == "#/data"
        assert len(server.asked) == 1

    def test_an_empty_list_allows_nothing_and_says_what_to_do(self, server, monkeypatch):
        monkeypatch.setenv(LIST, "")
        with pytest.raises(InvalidRequest, match=f"list the beginning of its URL in {LIST}"):
            copied("https://data.example.org/x.npz")

    def test_without_a_list_a_url_without_tls_is_refused(self, server, monkeypatch):
        monkeypatch.delenv(LIST)
        for url in (f"{server.url}/x", "ftp://127.0.0.1/x"):
            with pytest.raises(InvalidRequest, match="give it by https://"):
                allowed.Allowed.by_environment().check(url, "data")

    def test_a_listed_name_that_lies_at_a_private_address_is_refused(self, server, monkeypatch):
        server.files["/x"] = b"1"
        by_name = server.url.replace("127.0.0.1", "localhost")
        monkeypatch.setenv(LIST, by_name)
        with pytest.raises(DatasetMismatch, match="which is no public address: list its network"):
            copied(f"{by_name}/x")
        assert server.asked == []
        monkeypatch.setenv(LIST, f"{by_name}, 127.0.0.0/8 ::1/128")
        assert copied(f"{by_name}/x") == b"1"

    @pytest.mark.parametrize(
        "address",
        ["10.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "fe80::1", "::ffff:10.0.0.1", "0.0.0.0", "224.0.0.1"],
    )  # fmt: skip
    def test_no_address_of_its_own_network_is_connected_to(self, address):
        listed = allowed.Allowed.of("https://data.example.org")
        with pytest.raises(PermissionError, match="no public address"):
            listed.connect((address, 443), 1)

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("https://name:word@data.example.org/x", "holds a name or a password"),
            ("https:///x", "names no host"),
            ("https://[1/x", "is no URL"),
            ("https://data.example.org:99999/x", "is no URL"),
            ("https://data.example.org/{3..1}.tar", "count up"),
            ("https://data.example.org/{1..99999}.tar", "at most 10,000"),
        ],
    )
    def test_what_is_no_plain_url_is_refused(self, url, said):
        with pytest.raises(InvalidRequest, match=said) as error:
            copied(url)
        assert "word" not in error.value.detail.replace("password", "")

    def test_an_entry_that_means_nothing_is_named(self, monkeypatch):
        monkeypatch.setenv(LIST, "data.example.org")
        with pytest.raises(InvalidRequest, match=r"'data\.example\.org' is neither"):
            copied("https://data.example.org/x")


class TestS3:
    def test_an_object_arrives_whole(self, bucket):
        bucket.files["/bucket/sets/x.npz"] = LARGE
        assert copied("s3://bucket/sets/x.npz") == LARGE

    def test_a_folder_keeps_its_names(self, bucket):
        bucket.files |= {"/bucket/sets/a/1.png": b"1", "/bucket/sets/b/2.png": b"2"}
        bucket.files["/bucket/other/3.png"] = b"3"
        with on_this_machine("s3://bucket/sets/", "data") as folder:
            names = {one.relative_to(folder).as_posix() for one in folder.rglob("*.png")}
        assert names == {"a/1.png", "b/2.png"}

    def test_what_is_not_there_is_told(self, bucket):
        with pytest.raises(DatasetMismatch, match="s3://bucket/sets/none is answered by 404"):
            copied("s3://bucket/sets/none")
        with pytest.raises(DatasetMismatch, match="holds no files"):
            copied("s3://bucket/sets/none/")

    def test_a_bucket_leads_to_no_other_server(self, bucket):
        with serving() as other:
            bucket.redirects["/bucket/sets/x"] = f"{other.url}/x"
            with pytest.raises(InvalidRequest, match="the endpoint of the bucket leads to"):
                copied("s3://bucket/sets/x")
            assert other.asked == []

    def test_a_bucket_that_is_open_to_all_needs_no_key(self, bucket, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        bucket.files["/bucket/sets/x"] = b"1"
        assert copied("s3://bucket/sets/x") == b"1"

    def test_other_buckets_are_refused(self, bucket):
        with pytest.raises(InvalidRequest, match="may not be read"):
            copied("s3://others/sets/x")
        assert bucket.asked == []

    def test_a_copy_that_broke_off_goes_on_where_it_stood(self, bucket, tmp_path):
        bucket.files["/bucket/sets/x"] = LARGE
        folder = tmp_path / copies.COPIES / copies._digest("s3://bucket/sets/x")
        folder.mkdir(parents=True)
        (folder / "x.part").write_bytes(LARGE[:1_000_000])
        (folder / "x.part.tag").write_text(tag_of(LARGE))
        assert copied("s3://bucket/sets/x", tmp_path) == LARGE
        assert bucket.asked[-1][1] == "bytes=1000000-"


class TestJobs:
    def test_a_job_by_url_is_one_on_the_very_files(self, server, files, tmp_path):
        server.files |= dict(zip(("/m.onnx", "/d.npz"), files, strict=True))
        result = se.compress(f"{server.url}/m.onnx", f"{server.url}/d.npz", QUICK)
        told = result.report.data.provenance
        digests = [sha256(one).hexdigest() for one in files]
        assert [told.model_sha256, told.dataset_sha256] == digests
        result.chosen.save(tmp_path / "small.onnx")
        assert 0 < (tmp_path / "small.onnx").stat().st_size < len(files[0])
        assert len(server.asked) == 2

    def test_the_command_takes_urls(self, server, files):
        server.files |= dict(zip(("/m.onnx", "/d.npz"), files, strict=True))
        asked = ["check", f"{server.url}/m.onnx", f"{server.url}/d.npz", "--json"]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["data"]["sha256"] == sha256(files[1]).hexdigest()

    def test_a_model_is_loaded_by_its_url(self, server, files):
        server.files["/m.onnx"] = files[0]
        module = se.load(f"{server.url}/m.onnx")
        rows = {name: torch.zeros(2, 64) for name in [next(iter(module.model.graph.inputs)).name]}
        assert module(**rows)

    def test_a_file_that_does_not_exist_is_told_as_ever(self):
        done = CliRunner().invoke(app, ["check", "none.onnx", "none.npz"])
        assert done.exit_code == 2


def test_a_path_is_no_url():
    for given in ("data.npz", Path("s3:/x"), b"https://x", io.BytesIO(), "a://b", None):
        with on_this_machine(given, "data") as same:
            assert same is given

"""The folder in which a job works: held by one process, filled with copies, kept between attempts."""

import threading
from pathlib import Path

import pytest

from service.store.datasets.records import DatasetRecord
from service.store.models.records import ModelRecord
from tests.support.working import DATA, MODEL, Shop, impatient
from worker.workspace import Workspace, WorkspaceBusyError


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(impatient(tmp_path / "data", broker_url="redis://127.0.0.1:1/0"))


def records(shop: Shop, content: bytes, file_name: str | None) -> tuple[ModelRecord, DatasetRecord]:
    model, data = shop.artifacts.put_bytes(MODEL)[0], shop.artifacts.put_bytes(content)[0]
    return ModelRecord(sha256=model), DatasetRecord(sha256=data, file_name=file_name)


def test_inputs_are_copies_of_their_own(shop: Shop, tmp_path: Path):
    # ONNX refuses files with a second link, and a job must not be able to change what is stored.
    workspace = Workspace(tmp_path / "job")
    with workspace.locked(0):
        model, data = workspace.prepare(shop.artifacts, *records(shop, DATA, "d.csv"))
    assert (model.read_bytes(), data.read_bytes()) == (MODEL, DATA)
    assert (model.stat().st_nlink, data.stat().st_nlink) == (1, 1)
    assert not model.is_symlink()


@pytest.mark.parametrize(
    ("content", "file_name", "suffix"),
    [
        (b"x", "rows.CSV", ".csv"),
        (b"x", "digits.npz", ".npz"),
        (b"PAR1....", "rows", ".parquet"),
        (b"PK\x03\x04..", None, ".npz"),
        (b"x,y\n", None, ".csv"),
        (b"x,y\n", "../../evil.sh", ".csv"),
    ],
)
def test_the_kind_of_data_is_told_by_its_name_or_else_by_its_first_bytes(
    shop: Shop, tmp_path: Path, content, file_name, suffix
):
    workspace = Workspace(tmp_path / "job")
    with workspace.locked(0):
        _, data = workspace.prepare(shop.artifacts, *records(shop, content, file_name))
    assert data == tmp_path / "job" / f"data{suffix}"


def test_checkpoints_stay_between_attempts_and_outputs_do_not(shop: Shop, tmp_path: Path):
    workspace = Workspace(tmp_path / "job")
    with workspace.locked(0):
        workspace.prepare(shop.artifacts, *records(shop, DATA, None))
        (workspace.checkpoints / "step").write_text("3")
        (workspace.output / "0.onnx").write_text("half")
        workspace.prepare(shop.artifacts, *records(shop, DATA, None))
    assert (workspace.checkpoints / "step").read_text() == "3"
    assert not list(workspace.output.iterdir())


def test_a_folder_that_another_holds_is_waited_for_and_then_refused(tmp_path: Path):
    workspace = Workspace(tmp_path / "job")
    with workspace.locked(0):
        with pytest.raises(WorkspaceBusyError), Workspace(tmp_path / "job").locked(0.2):
            pass
        entered = threading.Event()
        waiting = threading.Thread(target=lambda: enter(tmp_path / "job", entered))
        waiting.start()
        assert not entered.wait(0.3)
    assert entered.wait(20)
    waiting.join()


def enter(folder: Path, entered: threading.Event) -> None:
    with Workspace(folder).locked(30):
        entered.set()


def test_external_data_lie_beside_the_model_as_copies(shop: Shop, tmp_path: Path):
    model, dataset = records(shop, DATA, None)
    names = ["w.data", "model.onnx"]
    sha256, size_bytes = shop.artifacts.put_bytes(b"weights")
    model.external = [{"name": n, "sha256": sha256, "size_bytes": size_bytes} for n in names]
    workspace = Workspace(tmp_path / "job")
    with workspace.locked(0):
        for _ in range(2):
            path, data = workspace.prepare(shop.artifacts, model, dataset)
    assert data is not None
    assert data.parent != path.parent
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, *names])
    assert path.read_bytes() == MODEL
    for name in names:
        file = path.with_name(name)
        assert (file.read_bytes(), file.stat().st_nlink) == (b"weights", 1)
        assert not file.is_symlink()

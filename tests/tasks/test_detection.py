"""A small YOLO through the whole job: boxes of every form judge, and the original's answers teach."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from tests.support.coco import average_precision, coco_folder, surest
from tests.support.detection_job import BOXES, PARTS, QUICK, X
from tests.support.task_nets import (
    SIDE,
    Compared,
    Detector,
    Finished,
    WithObjectness,
    detector,
    export,
)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("nets") / "yolo.onnx"
    return export(detector(), (torch.zeros(2, 1, SIDE, SIDE),), path, ["x"])


@pytest.fixture(scope="session")
def plain(model, tmp_path_factory):
    """What `check` says of boxes as two corners in pixels."""
    return se.check(model, save(tmp_path_factory.mktemp("plain") / "d.npz", BOXES))


def save(path, labels, **more):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    arrays |= {f"y_{part}": labels[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays, **more)
    return path


def yolo(boxes):
    """Class, centre and size in shares of the image; padding is 0."""
    there = boxes[..., 4:] >= 0
    low, high, kinds = boxes[..., :2], boxes[..., 2:4], boxes[..., 4:]
    shares = np.concatenate([kinds, (low + high) / 2 / SIDE, (high - low) / SIDE], -1)
    return np.where(there, shares, 0.0)


def coco_figure(model, rows, boxes):
    """AP by pycocotools, of boxes decoded and suppressed outside."""
    answers = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[rows]})[0].astype(float)
    centre, half, scores = answers[:, :2], answers[:, 2:4] / 2, answers[:, 4:].transpose(0, 2, 1)
    corners = np.concatenate([centre - half, centre + half], 1).transpose(0, 2, 1)
    detections = (surest(*image, suppressed=True) for image in zip(corners, scores, strict=True))
    return average_precision(detections, boxes[rows])


def test_a_detector_goes_through_the_job_and_is_judged_as_by_pycocotools(model, tmp_path):
    result = se.compress(model, save(tmp_path / "d.npz", BOXES), QUICK)
    report = result.report.data
    before = report.baseline.metric
    assert report.task == "detection"
    assert before.name == "map"
    assert before.value == pytest.approx(coco_figure(model, PARTS["test"], BOXES), abs=1e-6)
    assert before.interval.low < before.value < before.interval.high
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    after = result.chosen.entry.measurement.metric
    outside = coco_figure(tmp_path / "after.onnx", PARTS["test"], BOXES)
    assert after.value == pytest.approx(outside, abs=1e-6)
    assert after.value > 0.25 * before.value  # the original taught it
    assert result.outcome == "target_met"
    assert set(before.per_class) == {"0", "1"}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (yolo(BOXES), "class, centre x, centre y, width, height in shares of the image"),
        (np.where(BOXES[..., 4:] < 0, -1, BOXES / [SIDE, SIDE, SIDE, SIDE, 1]),
         "x1, y1, x2, y2, class in shares of the image"),
        (np.concatenate([BOXES[..., :2], BOXES[..., 2:4] - BOXES[..., :2], BOXES[..., 4:]], -1),
         "left, top, width, height, class in pixels"),
        (np.where(BOXES[..., 4:] < 0, -1, BOXES + np.eye(5)[4]), "x1, y1, x2, y2, class in pixels"),
    ],
    ids=["yolo", "shares", "coco", "classes from 1"],
)  # fmt: skip
def test_boxes_are_understood_however_they_are_written(form, said, model, plain, tmp_path):
    checked = se.check(model, save(tmp_path / "d.npz", form.astype(np.float32)))
    assert said in checked.meaning.reading
    assert "YOLOv8" in checked.meaning.reading
    assert checked.original.value == pytest.approx(plain.original.value, abs=1e-3)


def test_a_list_of_boxes_is_trained_by_what_it_is_chosen_from(plain, tmp_path):
    net = Finished(detector())
    path = export(net, (torch.zeros(2, 1, SIDE, SIDE),), tmp_path / "finished.onnx", ["x"])
    result = se.compress(path, save(tmp_path / "d.npz", BOXES), QUICK)
    report = result.report.data
    assert "YOLOv10" in report.data.meaning.reading
    before, after = report.baseline.metric, result.chosen.entry.measurement.metric
    assert after.value > 0.25 * before.value
    assert result.outcome == "target_met"
    checked = se.check(path, tmp_path / "d.npz")
    assert checked.original.value == pytest.approx(plain.original.value, abs=0.03)


def test_a_list_of_boxes_that_nothing_chooses_is_judged_and_not_trained_by(plain, tmp_path):
    net = Compared(detector())
    path = export(net, (torch.zeros(2, 1, SIDE, SIDE),), tmp_path / "compared.onnx", ["x"])
    data = save(tmp_path / "d.npz", BOXES)
    checked = se.check(path, data)
    assert "YOLOv10" in checked.meaning.reading
    assert checked.original.value == pytest.approx(plain.original.value, abs=0.03)
    with pytest.raises(InvalidRequest, match="can be judged and not trained by"):
        se.compress(path, data, QUICK)


def test_a_detector_with_objectness_is_the_same(plain, tmp_path):
    net = WithObjectness(detector())
    path = export(net, (torch.zeros(2, 1, SIDE, SIDE),), tmp_path / "v5.onnx", ["x"])
    data = save(tmp_path / "d.npz", BOXES)
    checked = se.check(path, data)
    assert "YOLOv5" in checked.meaning.reading
    assert checked.original.value == pytest.approx(plain.original.value, abs=1e-3)


def test_a_detector_that_nobody_trained_is_refused(tmp_path):
    torch.manual_seed(3)
    path = export(Detector(), (torch.zeros(2, 1, SIDE, SIDE),), tmp_path / "raw.onnx", ["x"])
    data = save(tmp_path / "d.npz", BOXES)
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(path, data, QUICK)
    checked = se.check(path, data, {"allow_poor_original": True})
    assert any("no better than chance" in note for note in checked.data.notes)


def test_boxes_of_other_images_are_refused(model, tmp_path):
    data = save(tmp_path / "d.npz", np.roll(BOXES, 7, axis=0))
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(model, data, QUICK)


def test_what_is_no_box_is_refused_by_name(model, tmp_path):
    save(tmp_path / "d.npz", BOXES[..., :4])
    with pytest.raises(DatasetMismatch, match="boxes are") as error:
        se.compress(model, tmp_path / "d.npz", {"metric": "map"})
    assert error.value.pointer == "#/y"


def test_a_metric_of_classes_is_refused_for_boxes(model, tmp_path):
    with pytest.raises(InvalidRequest, match="ask for map, map50"):
        se.compress(model, save(tmp_path / "d.npz", BOXES), {"metric": "accuracy"})
    with pytest.raises(InvalidRequest, match="of the task 'detection'"):
        se.compress(
            model, save(tmp_path / "d.npz", BOXES), {"metric": "map", "task": "classification"}
        )


def write_yolo(folder, boxes):
    (folder / "labels").mkdir(parents=True)
    np.save(folder / "x.npy", X)
    (folder / "classes.txt").write_text("full\nhollow\n")
    for row, image in enumerate(boxes):
        lines = [" ".join(f"{v:g}" for v in (int(k), *b)) for k, *b in yolo(image) if any(b)]
        (folder / "labels" / f"{row:04}.txt").write_text("\n".join(lines))


def write_coco(folder, boxes):
    coco_folder(folder, X, boxes)


@pytest.mark.parametrize("write", [write_yolo, write_coco])
def test_files_of_yolo_and_coco_are_read_from_folders_and_archives(write, model, tmp_path):
    write(tmp_path / "d", BOXES)
    np.savez(tmp_path / "d.npz", x=X, y=BOXES)
    plain = se.check(model, tmp_path / "d.npz")
    folder = se.check(model, tmp_path / "d")
    archive = se.check(model, shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path / "d"))
    for checked in (folder, archive):
        assert checked.original.value == pytest.approx(plain.original.value, abs=1e-3)
        assert checked.meaning.classes == ["full", "hollow"]
        assert "class, centre x" in checked.meaning.reading


def test_crowds_in_cocos_file_are_ignored_and_not_missed(model, plain, tmp_path):
    """A crowd over a whole image takes what is found and is no object: every found box there counts neither way."""
    write_coco(tmp_path / "d", BOXES)
    file = tmp_path / "d" / "annotations.json"
    whole = json.loads(file.read_text())
    for one in whole["annotations"]:
        if one["image_id"] % 2:  # nothing on every other image counts
            one |= {"iscrowd": 1, "bbox": [0, 0, SIDE, SIDE]}
    file.write_text(json.dumps(whole))
    crowds = se.check(model, tmp_path / "d")
    assert any("are of crowds" in note for note in crowds.data.notes)
    whole["annotations"] = [one for one in whole["annotations"] if not one["iscrowd"]]
    file.write_text(json.dumps(whole))
    dropped = se.check(model, tmp_path / "d")
    # Dropped, the same boxes would be false alarms.
    assert crowds.original.value > dropped.original.value + 0.05
    assert crowds.original.value == pytest.approx(plain.original.value, abs=0.1)


PIXELS = {"scale": 2 / 255, "mean": 0.5}  # undoes what `pictured` does


def pictured(row):
    """A picture of twice the size, as a camera would have made it."""
    pixels = ((X[row, 0] + 0.5) / 2 * 255).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((2, 2), np.uint8)))


def write_pictures_of_yolo(folder, boxes):
    """As ultralytics lays them out; an image without anything on it needs no file."""
    for part, rows in PARTS.items():
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for row in range(rows.start, rows.stop):
            pictured(row).save(folder / "images" / part / f"{row}.png")
            lines = [
                " ".join(f"{v:g}" for v in (int(k), *b)) for k, *b in yolo(boxes[row]) if any(b)
            ]
            (folder / "labels" / part / f"{row}.txt").write_text("\n".join(lines))
    pictured(0).save(folder / "images" / "train" / "none.png")


def write_pictures_of_coco(folder, boxes):
    write_coco(folder, boxes)
    (folder / "x.npy").unlink()
    whole = json.loads((folder / "annotations.json").read_text())
    (folder / "annotations.json").unlink()
    for image in whole["images"]:
        image |= {"width": 2 * SIDE, "height": 2 * SIDE, "file_name": f"{image['id']}.png"}
        pictured(image["id"]).save(folder / image["file_name"])
    for one in whole["annotations"]:
        one["bbox"] = [2 * side for side in one["bbox"]]
    (folder / "_annotations.coco.json").write_text(json.dumps(whole))


@pytest.mark.parametrize("write", [write_pictures_of_yolo, write_pictures_of_coco])
def test_pictures_find_their_boxes_by_name_whatever_their_size(write, model, plain, tmp_path):
    write(tmp_path / "d", BOXES)
    packed = [
        shutil.make_archive(str(tmp_path / "z"), how, tmp_path / "d") for how in ("zip", "gztar")
    ]
    folder, *archives = (
        se.check(model, path, preprocessing=PIXELS) for path in (tmp_path / "d", *packed)
    )
    assert all(archive.original == folder.original for archive in archives)
    assert folder.original.value == pytest.approx(plain.original.value, abs=0.06)
    if write is write_pictures_of_yolo:
        assert (folder.data.split, folder.data.test_rows) == ("given", 70)
        assert any("images/train/none.png" in note for note in folder.data.notes)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "images" / "train" / "7.png").unlink(), r"train/7\.txt'?: no image has that name"),
        (lambda folder: (folder / "images" / "train" / "7.png").write_bytes(b"x"), r"images/train/7\.png"),
        (lambda folder: (folder / "labels" / "train" / "7.txt").write_text("0 2 0.5 0.1 0.1"), "line 1.*no shares"),
    ],
)  # fmt: skip
def test_pictures_and_boxes_that_do_not_go_together_are_named(spoil, said, model, tmp_path):
    write_pictures_of_yolo(tmp_path / "d", BOXES)
    spoil(tmp_path / "d")
    with pytest.raises(DatasetMismatch, match=said):
        se.check(model, tmp_path / "d", preprocessing=PIXELS)


def test_a_crop_would_move_boxes_and_is_refused(model, tmp_path):
    write_pictures_of_yolo(tmp_path / "d", BOXES)
    with pytest.raises(InvalidRequest, match="would move the boxes"):
        se.check(model, tmp_path / "d", preprocessing=PIXELS | {"crop": 16})


def test_a_line_that_is_no_box_is_named(model, tmp_path):
    write_yolo(tmp_path / "d", BOXES)
    (tmp_path / "d" / "labels" / "0007.txt").write_text("0 0.5 0.5 0.2\n")
    with pytest.raises(DatasetMismatch, match="line 1: it has 4 fields") as error:
        se.compress(model, tmp_path / "d", QUICK)
    assert "'labels/0007.txt'" in error.value.detail

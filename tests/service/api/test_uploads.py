"""Uploads of models and data sets, as forms and as raw bytes."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from starlette.testclient import TestClient

ONNX = b"\x08\x08 the bytes of a model"
RAW = {"Content-Type": "application/octet-stream"}


def sha256_field(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def test_a_model_in_a_form_is_stored_with_its_digest(api: TestClient) -> None:
    form = {"name": "net", "metadata": json.dumps({"team": "vision"})}

    answer = api.post("/v1/models", files={"file": ("net.onnx", ONNX)}, data=form)

    assert answer.status_code == 201
    model = answer.json()
    assert model["sha256"] == hashlib.sha256(ONNX).hexdigest()
    assert model["size_bytes"] == len(ONNX)
    assert model["name"] == "net"
    assert model["file_name"] == "net.onnx"
    assert model["metadata"] == {"team": "vision"}
    assert model["id"].startswith("mdl_")
    assert answer.headers["location"] == f"/v1/models/{model['id']}"
    assert answer.headers["repr-digest"] == sha256_field(ONNX)
    assert answer.headers["etag"] == f'"{model["sha256"]}"'


def test_raw_bytes_take_the_same_fields_in_the_query(api: TestClient) -> None:
    query = {
        "name": "rows.csv",
        "label": "y",
        "metadata": '{"a":"b"}',
        "preprocessing": '{"scale":2}',
    }

    answer = api.post("/v1/datasets", content=b"x,y\n1,0\n", params=query, headers=RAW)

    assert answer.status_code == 201
    dataset = answer.json()
    assert dataset["label"] == "y"
    assert dataset["metadata"] == {"a": "b"}
    assert dataset["preprocessing"] == {"scale": 2}
    assert dataset["size_bytes"] == 8
    assert dataset["name"] == "rows.csv"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("seen_by_original", True),
        ("seen_by_original", False),
        ("seen_by_original", ["train", "val"]),
        ("rows_axis", 0),
        ("rows_axis", {"state": 1, "graph": None}),
    ],
)
@pytest.mark.parametrize("as_form", [True, False])
def test_a_data_set_may_say_what_its_rows_are(
    api: TestClient, field: str, said: object, as_form: bool
) -> None:
    text = json.dumps(said)
    if as_form:
        parts = [("file", ("a.csv", b"1")), (field, (None, text))]
        answer = api.post("/v1/datasets", files=parts)
    else:
        query = {field: text}
        answer = api.post("/v1/datasets", content=b"1", params=query, headers=RAW)

    assert answer.status_code == 201, answer.text
    shown = api.get(answer.json()["links"]["self"]).json()
    assert shown[field] == answer.json()[field] == said


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("seen_by_original", '["tests"]'),
        ("seen_by_original", '"perhaps"'),
        ("seen_by_original", "yes"),
        ("seen_by_original", '{"train": true}'),
        ("rows_axis", '"first"'),
        ("rows_axis", "true"),
        ("rows_axis", '{"x": 0.5}'),
    ],
)
def test_what_says_nothing_of_rows_is_refused_by_field(
    api: TestClient, field: str, text: str
) -> None:
    query = {field: text}

    answer = api.post("/v1/datasets", content=b"1", params=query, headers=RAW)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(f"#/{field}")
    assert api.get("/v1/datasets").json()["data"] == []


def test_a_data_set_of_which_nothing_is_said_says_nothing(api: TestClient) -> None:
    shown = api.post("/v1/datasets", content=b"1", headers=RAW).json()

    assert (shown["seen_by_original"], shown["rows_axis"], shown["labels"]) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"resize": 256, "crop": [224, 224]}, 201),
        ({"resize": 0}, 422),
        ({"crop": [1, 2, 3]}, 422),
    ],
)
def test_images_are_resized_and_cropped_as_said(
    api: TestClient, given: dict[str, object], status: int
) -> None:
    query = {"preprocessing": json.dumps(given)}

    answer = api.post("/v1/datasets", content=b"PK", params=query, headers=RAW)

    assert answer.status_code == status
    if status == 201:
        assert answer.json()["preprocessing"] == given
    else:
        assert answer.json()["errors"][0]["pointer"].startswith("#/preprocessing/")


def test_a_field_may_stand_before_or_after_the_file_in_a_form(api: TestClient) -> None:
    parts = [("name", (None, "first")), ("file", ("a.csv", b"1")), ("label", (None, "last"))]

    dataset = api.post("/v1/datasets", files=parts).json()

    assert (dataset["name"], dataset["label"]) == ("first", "last")


def test_what_was_uploaded_can_be_read_back(api: TestClient) -> None:
    model = api.post("/v1/models", content=ONNX, headers=RAW).json()

    assert api.get(f"/v1/models/{model['id']}").json() == model
    assert api.get(model["links"]["file"]).content == ONNX


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
def test_a_digest_that_is_right_is_accepted(api: TestClient, field: str) -> None:
    headers = {**RAW, field: sha256_field(ONNX)}

    assert api.post("/v1/models", content=ONNX, headers=headers).status_code == 201


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
def test_a_digest_that_is_wrong_is_refused_and_nothing_is_stored(
    api: TestClient, field: str
) -> None:
    headers = {**RAW, field: sha256_field(b"something else")}

    answer = api.post("/v1/models", content=ONNX, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["code"] == "digest-mismatch"
    assert api.get("/v1/models").json()["data"] == []


def test_a_form_may_give_the_digest_of_its_file_or_of_itself(api: TestClient) -> None:
    files = {"file": ("net.onnx", ONNX)}
    form = api.build_request("POST", "/v1/models", files=files)
    whole = form.read()

    of_file = api.post("/v1/models", files=files, headers={"Repr-Digest": sha256_field(ONNX)})
    of_form = api.post(
        "/v1/models",
        content=whole,
        headers={
            "Content-Type": form.headers["content-type"],
            "Content-Digest": sha256_field(whole),
        },
    )
    of_neither = api.post("/v1/models", files=files, headers={"Repr-Digest": sha256_field(b"")})

    assert [of_file.status_code, of_form.status_code, of_neither.status_code] == [201, 201, 400]


def test_a_digest_by_another_algorithm_is_passed_over(api: TestClient) -> None:
    headers = {**RAW, "Content-Digest": "sha-512=:AAAA:"}

    assert api.post("/v1/models", content=ONNX, headers=headers).status_code == 201


def test_a_digest_that_is_no_digest_is_refused(api: TestClient) -> None:
    headers = {**RAW, "Content-Digest": "sha-256=abc"}

    answer = api.post("/v1/models", content=ONNX, headers=headers)

    assert answer.json()["errors"][0]["pointer"] == "#/content-digest"


@pytest.mark.parametrize(
    ("send", "pointer"),
    [
        ({"content": b"", "headers": RAW}, "#/file"),
        ({"files": {"file": ("e.onnx", b"")}}, "#/file"),
        ({"files": {"name": (None, "x")}}, "#/file"),
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, "#/file"),
        ({"files": {"file": ("a", b"1"), "lable": (None, "y")}}, "#/lable"),
        ({"content": b"1", "headers": RAW, "params": {"lable": "y"}}, "#/lable"),
        ({"content": b"1", "headers": RAW, "params": {"metadata": "{"}}, "#/metadata"),
        ({"content": b"1", "headers": RAW, "params": {"metadata": '{"a":1}'}}, "#/metadata/a"),
        ({"content": b"1", "headers": RAW, "params": {"name": ""}}, "#/name"),
        (
            {"content": b"1", "headers": RAW, "params": {"preprocessing": '{"scale":NaN}'}},
            "#/preprocessing/scale",
        ),
    ],
)
def test_an_upload_that_is_wrong_names_the_field(
    api: TestClient, send: dict[str, object], pointer: str
) -> None:
    answer = api.post("/v1/datasets", **send)

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid-request"
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"])
    assert api.get("/v1/datasets").json()["data"] == []


def test_a_form_that_breaks_off_is_refused(api: TestClient) -> None:
    form = api.build_request("POST", "/v1/models", files={"file": ("net.onnx", ONNX)})
    headers = {"Content-Type": form.headers["content-type"]}

    answer = api.post("/v1/models", content=form.read()[:-10], headers=headers)

    assert answer.status_code == 422
    assert "last boundary" in answer.json()["detail"]


def test_another_content_type_is_refused(api: TestClient) -> None:
    answer = api.post("/v1/models", json={"file": "?"})

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported-media-type"


def test_a_file_over_the_limit_is_refused(small_api: TestClient) -> None:
    raw = small_api.post("/v1/models", content=b"x" * 1025, headers=RAW)
    chunked = small_api.post("/v1/models", content=iter([b"x" * 600] * 2), headers=RAW)
    form = small_api.post("/v1/models", files={"file": ("big", b"x" * 1025)})
    fits = small_api.post("/v1/models", files={"file": ("fits", b"x" * 1024)})

    assert [raw.status_code, chunked.status_code, form.status_code] == [413, 413, 413]
    assert "1024 bytes" in raw.json()["detail"]
    assert fits.status_code == 201


def test_the_same_bytes_are_stored_once_and_named_twice(api: TestClient) -> None:
    first = api.post("/v1/models", content=ONNX, headers=RAW).json()
    second = api.post("/v1/models", content=ONNX, headers=RAW).json()

    assert first["id"] != second["id"]
    assert first["sha256"] == second["sha256"]


def test_a_file_name_is_only_shown_and_never_a_path(api: TestClient) -> None:
    names = ["../../etc/passwd", "C:\\temp\\net.onnx", "a\nb.onnx", "Größe.onnx"]

    shown = [
        api.post("/v1/models", files={"file": (name, ONNX)}).json()["file_name"] for name in names
    ]

    assert shown[:2] == ["passwd", "net.onnx"]
    assert "\n" not in shown[2]
    assert shown[3] == "Größe.onnx"


def test_an_upload_sent_again_under_its_key_finds_the_same_model(api: TestClient) -> None:
    headers = {**RAW, "Idempotency-Key": '"upload-1"'}

    first = api.post("/v1/models", content=ONNX, headers=headers)
    again = api.post("/v1/models", content=ONNX, headers=headers)
    other = api.post("/v1/models", content=ONNX + b"!", headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert other.json()["code"] == "idempotency-key-reused"


WEIGHTS = b"the weights of a model"


def in_parts(*names: str, file: bytes = ONNX) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", ("net.onnx", file)), *(("external", (name, WEIGHTS)) for name in names)]


def test_a_model_may_come_with_the_files_of_its_external_data(api: TestClient) -> None:
    answer = api.post("/v1/models", files=in_parts("net.onnx.data", "b-2"))

    assert answer.status_code == 201
    model = answer.json()
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    size = len(WEIGHTS)
    assert model["external"] == [
        {"name": name, "sha256": digest, "size_bytes": size} for name in ("net.onnx.data", "b-2")
    ]
    assert (model["file_name"], model["size_bytes"]) == ("net.onnx", len(ONNX))
    assert answer.headers["repr-digest"] == sha256_field(ONNX)
    assert api.get(model["links"]["self"]).json() == model
    assert api.get(f"{model['links']['self']}/external/b-2").content == WEIGHTS
    for name in ("b-3", "..%2Fb-2"):
        assert api.get(f"{model['links']['self']}/external/{name}").status_code == 404


def test_the_files_may_come_in_any_order_and_with_digests_of_their_own(api: TestClient) -> None:
    right = {"Content-Digest": sha256_field(WEIGHTS)}
    wrong = {"Content-Digest": sha256_field(ONNX)}

    def send(headers: dict[str, str]) -> int:
        weights = ("w", WEIGHTS, "application/octet-stream", headers)
        parts = [("external", weights), ("file", ("net.onnx", ONNX)), ("name", (None, "n"))]
        return int(api.post("/v1/models", files=parts).status_code)

    assert (send(right), send(wrong)) == (201, 400)
    assert len(api.get("/v1/models").json()["data"]) == 1


def test_a_model_in_one_file_has_no_external_data(api: TestClient) -> None:
    assert api.post("/v1/models", content=ONNX, headers=RAW).json()["external"] == []


@pytest.mark.parametrize(
    "names",
    [
        ["../weights"],
        ["a/b"],
        ["/etc/passwd"],
        [".."],
        ["."],
        ["a b"],
        ["weights\n"],
        ["Größe"],
        ["w" * 129],
        ["twice", "twice"],
        [str(n) for n in range(65)],
    ],
)
def test_a_name_that_is_no_plain_file_name_is_refused_and_nothing_is_stored(
    api: TestClient, names: list[str]
) -> None:
    answer = api.post("/v1/models", files=in_parts(*names))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/external"
    assert api.get("/v1/models").json()["data"] == []


def test_an_empty_external_file_and_external_data_alone_are_refused(api: TestClient) -> None:
    empty = api.post("/v1/models", files=[*in_parts(), ("external", ("w", b""))])
    alone = api.post("/v1/models", files=in_parts("w")[1:])

    assert empty.json()["errors"][0]["pointer"] == "#/external"
    assert alone.json()["errors"][0]["pointer"] == "#/file"


def test_a_data_set_has_no_external_data(api: TestClient) -> None:
    answer = api.post("/v1/datasets", files=in_parts("w"))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/external"


def test_the_limit_is_for_all_files_of_an_upload_together(small_api: TestClient) -> None:
    fits = small_api.post("/v1/models", files=in_parts("w", file=b"x" * 1000))
    over = small_api.post("/v1/models", files=in_parts("v", "w", file=b"x" * 1000))

    assert (fits.status_code, over.status_code) == (201, 413)


def test_other_weights_under_the_same_key_are_another_request(api: TestClient) -> None:
    headers = {"Idempotency-Key": "upload-2"}

    first = api.post("/v1/models", files=in_parts("w"), headers=headers)
    again = api.post("/v1/models", files=in_parts("w"), headers=headers)
    other = api.post("/v1/models", files=in_parts("v"), headers=headers)

    assert again.json() == first.json()
    assert other.json()["code"] == "idempotency-key-reused"

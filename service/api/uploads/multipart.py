"""A multipart form, read as it arrives: what is in files goes on at once, small fields are kept."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.uploads.fields import refuse

FILE_FIELD = "file"
EXTERNAL_FIELD = "external"
EXTERNAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
MAX_EXTERNAL = 64
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 16


@dataclass(frozen=True, eq=False)
class FilePart:
    """A file of the form, as its headers tell."""

    field: str
    file_name: str
    headers: dict[str, str]


@dataclass
class Part:
    """One part of the form."""

    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    value: bytearray = field(default_factory=bytearray)
    file: FilePart | None = None


class FormReader:
    """Feed it the body; take the files' bytes from `feed` and the fields when it is `done`.

    Parts named like one of `file_fields` are files: one `file`, and `external` ones with names of their own.
    """

    def __init__(self, content_type: str, file_fields: Collection[str] = (FILE_FIELD,)) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            refuse(FILE_FIELD, "the Content-Type has no boundary", "header")
        self.fields: list[tuple[str, str]] = []
        self.files: list[FilePart] = []
        self.done = False
        self._file_fields = file_fields
        self._part = Part()
        self._header_name = b""
        self._header_value = b""
        self._file_bytes: list[tuple[FilePart, bytes]] = []
        self._parser = _parser(boundary, self)

    def feed(self, chunk: bytes) -> list[tuple[FilePart, bytes]]:
        """Take the next piece of the body; return the bytes of files that were in it."""
        self._file_bytes = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            refuse(FILE_FIELD, f"not a well-formed multipart form: {error}", "form")
        return self._file_bytes

    def finish(self) -> None:
        """Raise InvalidRequest when the form ended early or had no file."""
        if not self.done:
            refuse(FILE_FIELD, "the multipart form ends before its last boundary", "form")
        if all(file.field != FILE_FIELD for file in self.files):
            refuse(FILE_FIELD, "missing: send the file as the form field `file`", "form")

    def on_part_begin(self) -> None:
        """Start a part."""
        self._part = Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Collect a header's name."""
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Collect a header's value."""
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        """Keep a header."""
        name = self._header_name.decode("latin-1").lower()
        self._part.headers[name] = self._header_value.decode("latin-1")
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        """Learn the part's name; note a file."""
        _, options = parse_options_header(self._part.headers.get("content-disposition"))
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part.name not in self._file_fields:
            return
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._part.file = FilePart(self._part.name, file_name, self._part.headers)
        _check_file(self._part.file, self.files)
        self.files.append(self._part.file)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Pass on a file's bytes; keep a field's."""
        if self._part.file is not None:
            self._file_bytes.append((self._part.file, data[start:end]))
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD_BYTES:
            refuse(self._part.name, f"longer than {MAX_FIELD_BYTES} bytes", "form")

    def on_part_end(self) -> None:
        """Keep a field."""
        if self._part.file is not None:
            return
        if len(self.fields) == MAX_FIELDS:
            refuse(self._part.name, f"more than {MAX_FIELDS} fields", "form")
        try:
            self.fields.append((self._part.name, self._part.value.decode("utf-8")))
        except UnicodeDecodeError:
            refuse(self._part.name, "not UTF-8", "form")

    def on_end(self) -> None:
        """Note that the last boundary was seen."""
        self.done = True


def _check_file(file: FilePart, earlier: list[FilePart]) -> None:
    same = [other for other in earlier if other.field == file.field]
    if file.field == FILE_FIELD:
        if same:
            refuse(FILE_FIELD, "given more than once", "form")
        return
    # These names become names of files in a folder of their own, so they are narrow.
    if not EXTERNAL_NAME.fullmatch(file.file_name) or file.file_name in (".", ".."):
        refuse(EXTERNAL_FIELD, f"a file name must match {EXTERNAL_NAME.pattern}", "form")
    if file.file_name in {other.file_name for other in same}:
        refuse(EXTERNAL_FIELD, f"{file.file_name} is given more than once", "form")
    if len(same) == MAX_EXTERNAL:
        refuse(EXTERNAL_FIELD, f"more than {MAX_EXTERNAL} files", "form")


def _parser(boundary: bytes, reader: FormReader) -> MultipartParser:
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_headers_finished": reader.on_headers_finished,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_end": reader.on_end,
            },
        )
    except FormParserError as error:
        refuse(FILE_FIELD, str(error), "header")

"""A multipart form, read as it arrives: the file part goes on at once, small fields are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api.text import display_name
from service.api.uploads.fields import refuse

FILE_FIELD = "file"
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 16


@dataclass
class Part:
    """One part of the form."""

    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    value: bytearray = field(default_factory=bytearray)


class FormReader:
    """Feed it the body; take the file's bytes from `feed` and the fields when it is `done`."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            refuse(FILE_FIELD, "the Content-Type has no boundary", "header")
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        self.file_headers: dict[str, str] = {}
        self.has_file = False
        self.done = False
        self._part = Part()
        self._header_name = b""
        self._header_value = b""
        self._file_bytes: list[bytes] = []
        self._parser = _parser(boundary, self)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece of the body; return the bytes of the file that were in it."""
        self._file_bytes = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            refuse(FILE_FIELD, f"not a well-formed multipart form: {error}", "form")
        return b"".join(self._file_bytes)

    def finish(self) -> None:
        """Raise InvalidRequest when the form ended early or had no file."""
        if not self.done:
            refuse(FILE_FIELD, "the multipart form ends before its last boundary", "form")
        if not self.has_file:
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
        """Learn the part's name; note the file's."""
        _, options = parse_options_header(self._part.headers.get("content-disposition"))
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part.name != FILE_FIELD:
            return
        if self.has_file:
            refuse(FILE_FIELD, "given more than once", "form")
        self.has_file = True
        self.file_name = display_name(options.get(b"filename", b"").decode("utf-8", "replace"))
        self.file_headers = self._part.headers

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Pass on the file's bytes; keep a field's."""
        if self._part.name == FILE_FIELD:
            self._file_bytes.append(data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD_BYTES:
            refuse(self._part.name, f"longer than {MAX_FIELD_BYTES} bytes", "form")

    def on_part_end(self) -> None:
        """Keep a field."""
        if self._part.name == FILE_FIELD:
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

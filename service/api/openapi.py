"""`python -m service.api.openapi`: print the OpenAPI document."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from service.api.app import create_app
from service.settings import Settings


def main() -> None:
    """Print the document."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    print(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True))


if __name__ == "__main__":
    main()

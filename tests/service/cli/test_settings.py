"""The table of settings in the documentation."""

from pathlib import Path

from service.cli.settings_table import settings_table
from service.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_documented_table_is_that_of_the_settings_class():
    assert PAGE.read_text("utf-8").endswith(settings_table())


def test_every_setting_has_a_variable_and_a_meaning():
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    for row in rows:
        _, variable, default, meaning, _ = (cell.strip() for cell in row.split("|"))
        assert variable.startswith("`EIGENPRESS_")
        assert default
        assert meaning

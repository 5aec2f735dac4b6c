"""`python -m service.api`: the API alone, with the settings of the environment."""

from service.api.server import make_server
from service.settings import Settings

if __name__ == "__main__":
    make_server(Settings()).run()

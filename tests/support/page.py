"""An HTML page, taken apart."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page holds: its text, its elements, and every address that it names."""

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.addresses = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in {"src", "href"}]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

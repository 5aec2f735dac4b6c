"""Things by name: those that a package holds, and those that others register beside them."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """The things of one kind. Each module of `package` registers one under its own name, when it is first asked for.

    So a name can be checked, and stands in schemas, before anything that it needs is imported.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package, self.kind = package, kind
        self._things: dict[str, T] = {}
        self._come: list[Callable[[str, T], None]] = []
        self._gone: list[Callable[[str, T], None]] = []

    def register(self, name: str, thing: T) -> T:
        """Add a thing under its name; raises ValueError where another one has it."""
        if name in self._things:
            raise ValueError(f"{self.kind} {name!r} stands there already")
        self._things[name] = thing
        for come in self._come:
            come(name, thing)
        return thing

    def withdraw(self, name: str) -> None:
        """Forget a thing that was registered from outside of the package."""
        thing = self._things.pop(name)
        for gone in self._gone:
            gone(name, thing)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        return tuple(sorted({*self._packaged(), *self._things}))

    def get(self, name: str) -> T:
        """Return a thing by its name; raises ValueError with the names that there are."""
        if name not in self.names():
            raise ValueError(f"{name!r} is no {self.kind}: there are {', '.join(self.names())}")
        if name not in self._things:
            import_module(f"{self.package}.{name}")
        return self._things[name]

    def watch(self, come: Callable[[str, T], None], gone: Callable[[str, T], None]) -> None:
        """Show all things to `come`: those that are there, and those that will be; to `gone`, what is withdrawn."""
        for name in self.names():
            come(name, self.get(name))
        self._come.append(come)
        self._gone.append(gone)

    def _packaged(self) -> list[str]:
        """Return the names in the package; where it holds folders, these alone."""
        modules = list(pkgutil.iter_modules(import_module(self.package).__path__))
        folders = [item.name for item in modules if item.ispkg]
        return folders or [item.name for item in modules]

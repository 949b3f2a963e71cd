"""Where files with a name are found: the path itself, ./device_specs, the installed library, HWSIM_PATH."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hwsim.errors import InputError, UnknownNameError
from hwsim.loading.document import read_file
from hwsim.loading.faults import Faults
from hwsim.registry import unknown_name
from hwsim.units import shown

__all__ = [
    "DEVICE",
    "SCENARIO",
    "SWEEP",
    "SYSTEM",
    "Kind",
    "cached",
    "file_beside",
    "find",
    "find_by_alias",
    "find_reference",
    "is_called",
    "is_path",
    "list_devices",
    "list_scenarios",
    "list_sweeps",
    "list_systems",
]

T = TypeVar("T")
_LONGEST = 200
_SPOKEN = 3  # letters of a name that are looked for in titles
_OFFERED = 5
_SUFFIXES = (".yaml", ".yml")
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: what messages call it, its folder, and a folder inside that belongs to another kind."""

    what: str
    folder: str
    inside: str = ""
    not_inside: str = ""

    def folders(self) -> Iterator[tuple[Path, str]]:
        """The folders searched, with the pattern of files in them; first hit wins.

        Working directory, installed library, each entry of HWSIM_PATH: it may hold the files themselves or folders
        named as the library's.
        """
        roots = [Path(), _PACKAGE / "_library", _PACKAGE.parent]
        if (_PACKAGE / "_library").is_dir():  # an installed package has no library beside it
            roots.pop()
        for root in roots:
            yield root / self.folder / self.inside, "**/*"
        for entry in os.environ.get("HWSIM_PATH", "").split(os.pathsep):
            if entry:
                yield Path(entry) / self.folder / self.inside, "**/*"
                yield Path(entry) / self.inside, "*"

    def files(self) -> dict[str, Path]:
        """The files by their names; of two with one name the first in search order."""
        found: dict[str, Path] = {}
        for folder, pattern in self.folders():
            if not folder.is_dir():
                continue
            for path in sorted(p for suffix in _SUFFIXES for p in folder.glob(f"{pattern}{suffix}")):
                inside = path.relative_to(folder).parts[:-1]
                if not (self.not_inside and self.not_inside in inside):
                    found.setdefault(path.stem, path)
        return found


DEVICE = Kind("device", "device_specs", not_inside="systems")
SYSTEM = Kind("system", "device_specs", inside="systems")
SCENARIO = Kind("scenario", "scenarios")
SWEEP = Kind("sweep", "sweeps")


def is_path(name: str) -> bool:
    """Whether a name is meant as the path of a file."""
    return name.endswith(_SUFFIXES)


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and not any(mark in name for mark in "/\\\0") and ".." not in name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the file system cannot hold
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def find(kind: Kind, name: str) -> Path:
    """The file of that name, or at that path.

    Raises:
        InputError: the name has folders in it, or there is no file at the path.
        UnknownNameError: the library has none of that name; the nearest is suggested.
    """
    if is_path(name):
        path = Path(name)
        if not _is_file(path):
            raise InputError(f"{shown(name, _LONGEST)}: {_why_no_file(kind, path)}")
        return path
    if not _is_plain(name):
        raise InputError(f"{shown(name)}: a name has no '/' or '..'; write a plain name, or a path that ends in .yaml")
    for folder, _ in kind.folders():
        for suffix in _SUFFIXES:
            path = folder / f"{name}{suffix}"
            if _is_file(path):
                return path
    files = kind.files()
    if name in files:
        return files[name]
    if own := file_beside(name):
        raise UnknownNameError(f"no {kind.what} named '{name}' in the library; for the file here write '{own}'")
    if not _begins(name, files) and (meant := _known_as(name, files)):
        raise UnknownNameError(f"no {kind.what} named '{name}'; known as that: {', '.join(meant)}")
    raise unknown_name(kind.what, name, files)


def _begins(name: str, files: Mapping[str, Path]) -> bool:
    return any(_folded(known).startswith(_folded(name)) for known in files)


def _known_as(name: str, files: Mapping[str, Path]) -> list[str]:
    """The first files whose name has that as a part, or in whose title or aliases it stands, with their titles."""
    wanted, found = _folded(name), []
    for known, path in files.items():
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # one that cannot be read says so when it is asked for
            continue
        spoken = [line for line in lines if line.startswith(("title:", "aliases:"))]
        title = next((line.removeprefix("title:").strip() for line in spoken if line.startswith("title:")), "")
        called = len(wanted) >= _SPOKEN and any(wanted in _folded(line) for line in spoken)
        if called or wanted in known.split("_"):
            found.append(f"{known} ({title})" if title else known)
    return found[:_OFFERED]


def file_beside(name: str) -> str:
    """The file of the working directory that somebody means who leaves out '.yaml', or nothing."""
    return next((f"{name}{suffix}" for suffix in _SUFFIXES if _is_file(Path(f"{name}{suffix}"))), "")


def _why_no_file(kind: Kind, path: Path) -> str:
    if _is_folder(path):
        return "is a folder; name a file in it"
    shipped = path.stem in kind.files()
    return f"no such file; for the {kind.what} of the library write '{path.stem}'" if shipped else "no such file"


def find_reference(kind: Kind, name: str, beside: Path) -> Path:
    """The file that another file names: one beside it, else one of the library.

    A path is taken from the folder of the file that names it and may not leave that folder.

    Raises:
        InputError: a path with ``..`` or from the root of the file system.
        UnknownNameError: there is none of that name.
    """
    if is_path(name):
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{shown(name)}: a file names others by name, or by a path below its own folder")
        return find(kind, str(beside.parent / name))
    if _is_plain(name):
        own = beside.parent / f"{name}.yaml"
        if _is_file(own) and own.parent.name == (kind.inside or own.parent.name) and own != beside:
            return own
    return find(kind, name)


def list_devices() -> tuple[str, ...]:
    """Names of all devices the search finds."""
    return tuple(sorted(DEVICE.files()))


def list_systems() -> tuple[str, ...]:
    """Names of all systems of several devices."""
    return tuple(sorted(SYSTEM.files()))


def list_scenarios() -> tuple[str, ...]:
    """Names of all scenarios."""
    return tuple(sorted(SCENARIO.files()))


def list_sweeps() -> tuple[str, ...]:
    """Names of all sweeps."""
    return tuple(sorted(SWEEP.files()))


_CACHE: dict[tuple[str, Path, Path], tuple[tuple[Any, ...], Any]] = {}


def stamp(path: Path) -> tuple[str, int, int]:
    """What tells one version of a file from another."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def cached(what: str, path: Path, load: Callable[[], tuple[T, tuple[Path, ...]]]) -> T:
    """What ``load`` makes of a file, kept until the file or one it was made from changes.

    ``load`` returns the result and the files it was made from. A result names its file as it was found, so one found
    by another way, from another working directory say, is made anew.
    """
    key = (what, path.absolute(), path)
    if key in _CACHE:
        stamps, result = _CACHE[key]
        if all(Path(old[0]).is_file() and stamp(Path(old[0])) == old for old in stamps):
            return result  # type: ignore[no-any-return]
    made, sources = load()
    _CACHE[key] = (tuple(stamp(source.absolute()) for source in sources), made)
    return made


def find_by_alias(alias: str, *, loosely: bool = False) -> str:
    """The name of the device that measured data call by that name, with ``@state`` where they name a P-state of it.

    Upper and lower case, spaces, dashes and underscores make no difference; ``loosely``: nor do the names of makers and
    product lines, and how much memory there is (``NVIDIA GeForce RTX 4090``, ``4090 24GB``).

    Raises:
        UnknownNameError: no device lists the alias.
        InputError: two devices list it.
    """
    folded = _bare if loosely else _folded
    wanted = folded(alias)
    names = DEVICE.files()
    for name in names:
        if folded(name) == wanted:
            return name
    aliases = {name: cached("aliases", path, partial(_read_aliases, path)) for name, path in names.items()}
    owners = [
        f"{name}@{state}" if state else name
        for name, known in aliases.items()
        for state, called in known
        if wanted in map(folded, called)
    ]
    if len(owners) > 1:
        raise InputError(f"alias '{alias}' is listed by {' and '.join(owners)}; keep it in one of them")
    if not owners:
        every = [a for known in aliases.values() for _, called in known for a in called]
        raise unknown_name("device with the alias", alias, every)
    return owners[0]


def is_called(name: str, aliases: Sequence[str]) -> bool:
    """Whether a name in measured data is one of the aliases, written so or similarly."""
    return _folded(name) in map(_folded, aliases)


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " -_")


def _bare(name: str) -> str:
    """A folded name without makers, product lines and the size of the memory."""
    return _folded(_SAID_BESIDE.sub(" ", name.casefold().replace("_", " ")))


_SAID_BESIDE = re.compile(
    r"\b(nvidia|geforce|tesla|quadro|rtx|gtx|amd|radeon|instinct|rx|apple|intel|qualcomm|\d+ ?gb)\b|\(r\)|\(tm\)|[®™]"
)

_Called = tuple[tuple[str, tuple[str, ...]], ...]
"""Aliases of a device, and of its P-states by their names; those of the device stand under no name."""


def _read_aliases(path: Path) -> tuple[_Called, tuple[Path, ...]]:
    return _aliases(path), (path,)


def _aliases(path: Path) -> _Called:
    """The aliases in a file; one that cannot be read has none here, and says why when it is loaded."""
    try:
        node = read_file(path, Faults())
    except InputError:
        return ()
    power = node.child("power")
    listed = power.child("p_states") if power is not None else None
    states = listed.plain() if listed is not None else None
    named = [state for state in states if isinstance(state, dict)] if isinstance(states, list) else []
    own = node.child("aliases")
    return (
        ("", _texts(own.plain() if own is not None else None)),
        *((str(state.get("name")), _texts(state.get("aliases"))) for state in named),
    )


def _texts(listed: object) -> tuple[str, ...]:
    return tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()

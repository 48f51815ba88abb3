"""The graph of imports, and what is wrong with its shape.

Imports in functions and under TYPE_CHECKING count. A module that is loaded by its name in a string does not:
`loaders_by_name` finds the files that do that.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

Ties = Mapping[str, set[str]]


def imports(*packages: str) -> Ties:
    """Returns the modules of the packages, each with the modules that it imports."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def folders(modules: Iterable[str]) -> dict[str, str]:
    """Returns the folder of each module. A package with modules is a folder, and its `__init__` is in it."""
    names = set(modules)
    packages = {name.rpartition(".")[0] for name in names}
    return {name: name if name in packages else name.rpartition(".")[0] for name in names}


def folder_ties(ties: Ties) -> Ties:
    """Returns the folders, each with the other folders that its modules import from."""
    folder = folders(ties)
    found = defaultdict[str, set[str]](set)
    for module, imported in ties.items():
        found[folder[module]] |= {folder[other] for other in imported} - {folder[module]}
    return found


def cycle(ties: Ties) -> list[str]:
    """Returns one cycle, with its first element also at its end. The list is empty if there is none."""
    try:
        TopologicalSorter(ties).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def modules_by_folder(ties: Ties) -> Counter[str]:
    """Returns how many modules of its own each folder has, without `__init__`."""
    return Counter(folder for module, folder in folders(ties).items() if folder != module)


def loaders_by_name(text: str) -> bool:
    """Tells whether a source text imports modules by a name that it has in a string."""
    calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    return bool(
        names & {"import_module", "__import__", "resolve_name", "spec_from_file_location", "run_module"}
    )


def strings_that_name(package: str, text: str) -> list[str]:
    """Returns the strings of a source text that are the name of a package or of a module in it."""
    pattern = re.compile(rf"{re.escape(package)}(\.\w+)*(:\w+)?")
    strings = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [value for value in strings if isinstance(value, str) and pattern.fullmatch(value)]


def is_one_line_of_documentation(path: Path) -> bool:
    """Tells whether a file holds a docstring of one line, and nothing else."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return False
    value = body[0].value.value
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value

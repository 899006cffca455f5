"""The rules that carry the science: who may import whom, and who may name CUDA."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dysonsim

PACKAGE = Path(dysonsim.__file__).parent
# Lowest first; a module may import from lower layers and from its own folder. Folders that share a layer know nothing
# of each other.
LAYERS = [
    {"_moved", "_version", "_checks", "_text", "_html", "_fingerprint", "_patience", "_extras"},
    {"_files"},
    {"_functions"},
    {"laws", "backend"},
    {"kernels"},
    {"numerics", "models"},
    {"processes"},
    {"ensembles"},
    {"spectra"},
    {"comparison"},
    {"inference", "descriptions"},
    {"training", "scans"},
    {"reproduce"},
    {"__init__", "__main__"},
]
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def folder(module: str) -> str:
    """The folder, or the module at the top of the package, to which a module belongs."""
    return module.split(".")[0]


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if folder(module) in names)


def imports(module: str) -> set[str]:
    """The modules of dysonsim that a module imports, wherever in its text: in functions, for type checkers."""
    path = MODULES[module]
    here = ["dysonsim", *path.relative_to(PACKAGE).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name != "dysonsim" and not name.startswith("dysonsim."):
                continue
            name = name.removeprefix("dysonsim").removeprefix(".")
            known = next((m for m in (name, name.rpartition(".")[0]) if m in MODULES), "__init__")
            found.add(known)
    return found


GRAPH = {module: imports(module) for module in MODULES}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Chains of imports that end where they begin; a package's own `__init__` counts as a module."""
    done, found = set(), []

    def visit(module: str, chain: list[str]) -> None:
        if module in chain:
            found.append([*chain[chain.index(module) :], module])
        elif module not in done:
            for other in sorted(graph[module]):
                visit(other, [*chain, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


def test_no_circle():
    assert not circles(GRAPH)
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]


def test_imports_lead_down():
    for module, others in GRAPH.items():
        for other in others:
            down = layer(other) < layer(module) or folder(other) == folder(module)
            assert down, f"{module} imports {other}, which does not lie below it"


def test_nothing_imports_the_package_itself():
    assert [module for module, others in GRAPH.items() if "__init__" in others] == []


def test_nothing_uses_the_old_names_of_modules():
    assert {module for module, others in GRAPH.items() if "_moved" in others} == {"__init__"}
    assert not GRAPH["_moved"]


def test_no_module_has_the_name_of_a_public_function():
    top = {folder(module) for module in MODULES}
    assert not [name for name in dysonsim.__all__ if callable(getattr(dysonsim, name)) and name in top]


def test_laws_and_kernels_know_nothing_of_each_other():
    """Their agreement is evidence."""
    for module, others in GRAPH.items():
        below = {folder(other) for other in others}
        if folder(module) == "laws":
            assert below <= {"laws", "_checks"}, module
        if folder(module) in ("kernels", "backend"):
            assert "laws" not in below, module
        if module == "_checks":
            assert not below


def test_only_the_backend_names_cuda():
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text())
        names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        uses_cuda = any(name.startswith("numba.cuda") or name == "numba_cuda" for name in names)
        assert not uses_cuda or module.startswith("backend.cuda"), module


def test_no_file_grows_past_400_lines():
    for path in MODULES.values():
        assert len(path.read_text().splitlines()) <= 400, path


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of its docstring."""
    first, end = function.body[0], function.end_lineno or function.lineno
    documented = ast.get_docstring(function) is not None
    doc = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return end - function.lineno + 1 - doc


def long_functions(module: str, tree: ast.AST, most: int) -> set[str]:
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{module} {function.name}" for function in functions if lines(function) > most}


def test_no_function_grows_past_120_lines():
    found = set().union(*(long_functions(m, ast.parse(path.read_text()), 120) for m, path in MODULES.items()))
    assert not found
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n'
    assert long_functions("m", ast.parse(text), 2) == {"m f"}
    assert not long_functions("m", ast.parse(text), 3)


# Functions that a user calls once a study; each says in its docstring why it takes so many.
MANY = {
    "comparison.compare compare",
    "descriptions.hierarchy hierarchy",
    "ensembles.simulate simulate",
    "inference.estimate estimate_dynamics",
    "scans.scan scan",
    "training.watch watch",
}


def with_many_parameters(module: str, tree: ast.AST, most: int) -> set[str]:
    found = set()
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
        names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        if len([name for name in names if name not in ("self", "cls")]) > most:
            found.add(f"{module} {function.name}")
    return found


def test_no_function_takes_more_than_8_parameters():
    """Steps of kernels excepted: what a target compiles has no objects to hold them together."""
    apart = ("kernels", "backend")
    trees = {m: ast.parse(path.read_text()) for m, path in MODULES.items() if folder(m) not in apart}
    assert set().union(*(with_many_parameters(m, tree, 8) for m, tree in trees.items())) == MANY
    assert with_many_parameters("m", ast.parse("def f(self, a, *, b): ..."), 1) == {"m f"}


def test_import_is_light():
    """What is slow to import is imported when it is used."""
    program = (
        "import sys, dysonsim; print([m for m in ('scipy.stats', 'scipy.optimize', 'matplotlib', 'tqdm', "
        "'numba.cuda') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

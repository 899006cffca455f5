"""The rules that carry the science: who may import whom, and who may name CUDA."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dysonsim

PACKAGE = Path(dysonsim.__file__).parent
# Lowest first; a module may import from lower layers and its own. What is not listed stands above all that is.
LAYERS = [
    {"_fingerprint", "_files", "_functions", "_validate", "_table", "laws", "backend", "diagnostics"},
    {"kernels"},
    {"repulsion", "large", "levels"},
    {"models"},
    {"processes"},
    {"spectra", "rounds", "schedule"},
    {"limits", "simulate"},
    {"samples", "statistics", "estimation", "likelihood", "comparison", "scaling", "compare"}
    | {"inference", "inference_drift", "inference_estimates", "inference_gaps", "inference_input", "inference_result"}
    | {"hierarchy", "hierarchy_measure", "hierarchy_plot", "hierarchy_result"},
    {"plots", "report", "__main__", "__init__"},
]


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imports(path: Path) -> set[str]:
    """First-level names of dysonsim that a file imports, wherever in the file."""
    found = set()
    parts = ("dysonsim", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("dysonsim.")}
    return found & set().union(*LAYERS)


def files():
    return [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in sorted(PACKAGE.rglob("*.py"))]


def test_every_module_has_a_layer_and_imports_downwards():
    for name, path in files():
        for imported in imports(path):
            assert layer(imported) <= layer(name), f"{path.name} ({name}) imports {imported}, which stands above it"


def test_laws_and_kernels_know_nothing_of_each_other_and_laws_of_nothing_but_checks():
    for name, path in files():
        if name == "laws":
            assert imports(path) <= {"laws", "_validate"}, path
        if name == "_validate":
            assert not imports(path), path
        if name in ("kernels", "backend"):
            assert not imports(path) & {"laws", "models", "spectra"}, path


def test_only_the_backend_names_cuda():
    for name, path in files():
        tree = ast.parse(path.read_text())
        modules = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        uses_cuda = any(module.startswith("numba.cuda") or module == "numba_cuda" for module in modules)
        assert not uses_cuda or (name == "backend" and path.name.startswith("cuda")), path


def test_no_file_grows_past_400_lines():
    for _, path in files():
        assert len(path.read_text().splitlines()) <= 400, path


def test_import_is_light():
    """What is slow to import is imported when it is used."""
    program = (
        "import sys, dysonsim; print([m for m in ('scipy.stats', 'scipy.optimize', 'matplotlib', 'tqdm', "
        "'numba.cuda') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

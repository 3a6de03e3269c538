"""The shape of the code: who may import whom, how long files and functions may be, what is never used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "wovr_lab"

# A module imports only from lower floors, from its own folder, or from names before it on its own floor.
FLOORS = (
    ("errors", "types", "seeding", "borders", "fields", "machine", "pixels", "robot", "hub", "shipped"),
    (
        "outputs",
        "start_checks",
        "contracts",
        "state_checks",
        "checks",
        "runs",
        "report_schema",
        "networks",
        "published",
        "muon",
        "training_state",
        "training",
    ),
    ("episodes", "real", "starts", "rlinf", "rollout"),
    ("policy", "world", "reward"),
    ("imagined",),
    ("measure", "grpo"),
    ("pace",),
    ("experiments", "publish", "face", "serve"),
    ("figures", "report", "notebook", "inspector", "cli"),
)
ORDER = [name for floor in FLOORS for name in floor]
DOMAINS = ("tabletop", "libero")  # folders of real/ and measure/ that know one real world; below pace no others do
FINDS_THE_DOMAIN = "wovr_lab.real.domains"
MOST_FILES_OF_PACE = 15
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 60
NEVER_USED = {
    "hasattr": "state what a class has in its type",
    "torch.load": "it unpickles: use wovr_lab.runs.load_tensors",
    "pickle": "it runs code: use safetensors, JSON or HDF5",
}

RESTRICTED_READER = "rlinf.py"  # reads pickles by an unpickler that admits arrays only; its tests hold it to that

FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def top_name(path: Path) -> str:
    """The folder or file right below the package that `path` belongs to; "" for the package's own __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def own_imports(tree: ast.Module) -> set[str]:
    """Top-level names of this package that a module imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: relative import; write out wovr_lab"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {module.split(".")[1] for module in modules if module.startswith("wovr_lab.")}
    return found


def wrong_imports(name: str, imports: set[str]) -> list[str]:
    """One message for each import that breaks the order."""
    allowed = {*ORDER[: ORDER.index(name)], name} if name else set(ORDER)  # the face of all of it, imported on use
    return [
        f"{name or 'wovr_lab/__init__'} imports {other}, which is "
        + ("not in the table of floors" if other not in ORDER else "not below it")
        for other in sorted(imports - allowed)
    ]


def module_name(path: Path) -> str:
    """A file's name in an import, e.g. wovr_lab.real.domain."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imported_modules(tree: ast.Module) -> set[str]:
    """Modules of this package that a module imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= submodules or {node.module or ""}
    return found & MODULES.keys()


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Names that import each other in a circle; none if there is no circle."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if circle := walk(other, [*way, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(graph) if (circle := walk(name, []))), [])


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def public_functions(tree: ast.AST) -> list[Function]:
    """Functions and methods that others may call: at module level or in a public class; __init__ counts as one."""
    found: list[Function] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += public_functions(node)
        elif isinstance(node, Function) and (node.name == "__init__" or not node.name.startswith("_")):
            found.append(node)
    return found


def unannotated(function: Function) -> list[str]:
    """Names of the parameters without a type, and "return" if the result has none."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    missing = [each.arg for each in every if each and each.annotation is None and each.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None and function.name != "__init__" else [])


def test_the_package_was_found():
    assert len(FILES) > 5


def test_every_module_has_its_place_in_the_table_of_floors():
    unknown = sorted({top_name(path) for path in FILES} - {"", *ORDER})
    assert not unknown, f"give {unknown} a floor in FLOORS, in this test"


@every_file
def test_a_module_imports_only_from_below(path: Path):
    name = top_name(path)
    if name in ("", *ORDER):  # the test above has said so otherwise
        assert not wrong_imports(name, own_imports(parse(path)))


def test_an_import_from_above_an_unknown_one_and_one_hidden_in_a_function_are_caught():
    source = "import wovr_lab.types\ndef f():\n    from wovr_lab import cli\n    from wovr_lab.elsewhere.x import y\n"
    assert own_imports(ast.parse(source)) == {"types", "cli", "elsewhere"}
    assert wrong_imports("pace", {"types", "cli", "elsewhere", "pace"}) == [
        "pace imports cli, which is not below it",
        "pace imports elsewhere, which is not in the table of floors",
    ]


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imported_modules(parse(path)) for name, path in MODULES.items() if name != "wovr_lab"}
    assert not circle_in(graph)
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def domain_of(module: str) -> str:
    """The domain whose folder a module lies in, "" if it is general."""
    folder = module.split(".")[2:3]
    return folder[0] if folder and folder[0] in DOMAINS else ""


def foreign_domains(module: str, imports: set[str]) -> list[str]:
    """What a module below pace imports of a domain that is not its own."""
    top = module.split(".")[1]
    if module == FINDS_THE_DOMAIN or ORDER.index(top) >= ORDER.index("pace"):
        return []
    return sorted(name for name in imports if domain_of(name) not in ("", domain_of(module)))


@every_file
def test_what_is_general_knows_no_domain_and_no_domain_knows_another(path: Path):
    name = module_name(path)
    foreign = foreign_domains(name, imported_modules(parse(path))) if top_name(path) else []
    assert not foreign, f"{name} imports {foreign}"


def test_an_import_of_another_domain_is_caught():
    both = {"wovr_lab.real.tabletop.env", "wovr_lab.real.libero.env", "wovr_lab.real.env"}
    assert foreign_domains("wovr_lab.real.chunk_env", both) == sorted(both - {"wovr_lab.real.env"})
    assert foreign_domains("wovr_lab.measure.tabletop.probes", both) == ["wovr_lab.real.libero.env"]
    assert not foreign_domains(FINDS_THE_DOMAIN, both) and not foreign_domains("wovr_lab.pace.loop", both)


def test_pace_is_the_loop_alone():
    files = sorted(path.name for path in (PACKAGE / "pace").glob("*.py"))
    assert len(files) <= MOST_FILES_OF_PACE, f"pace has {len(files)} files: what is built on the loop goes above it"


@every_file
def test_files_and_functions_stay_short(path: Path):
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES_OF_A_FILE, f"{path.name} has {lines} lines: split it"
    long = {each.name: each.end_lineno - each.lineno + 1 for each in functions(parse(path))}
    long = {name: length for name, length in long.items() if length > MOST_LINES_OF_A_FUNCTION}
    assert not long, f"split these functions (lines): {long}"


@every_file
def test_every_public_function_says_its_types(path: Path):
    missing = {each.name: unannotated(each) for each in public_functions(parse(path)) if unannotated(each)}
    assert not missing, f"annotate {missing}"


def test_a_missing_type_is_caught():
    tree = ast.parse("class A:\n    def f(self, a, *, b: int): ...\n    def _g(self, x): ...\ndef h() -> int: ...")
    assert {each.name: unannotated(each) for each in public_functions(tree)} == {"f": ["a", "return"], "h": []}


@every_file
def test_what_is_never_used_is_not_used(path: Path):
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Name | ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
        elif isinstance(node, ast.keyword):
            assert node.arg != "allow_pickle", "allow_pickle runs code from files: read arrays without it"
    forbidden = NEVER_USED.keys() - ({"pickle"} if path.name == RESTRICTED_READER else set())
    found = {name: NEVER_USED[name] for name in forbidden & names}
    assert not found, f"{path.name}: {found}"

"""Contracts by name: the YAML files of a project's directory ``contracts``."""

from collections.abc import Iterator
from pathlib import Path

from headgate.contracts.specs import ContractSpec
from headgate.errors import Invalid, NotFound
from headgate.names import suggestion

DIRECTORY = "contracts"
_ENDINGS = (".yaml", ".yml")


def contract_files(root: Path) -> Iterator[Path]:
    """Give the contract files of a project, by name."""
    found = (file for ending in _ENDINGS for file in (root / DIRECTORY).rglob(f"*{ending}"))
    return iter(sorted(found))


def named_contract(name: str, root: Path) -> ContractSpec:
    """Give the contract of a name: ``orders`` is ``contracts/orders.yaml`` of the project.

    Raises:
        NotFound: ``unknown-contract``.
        Invalid: ``contract-yaml``, and what ``read_contract`` raises.
    """
    for ending in _ENDINGS:
        file = root / DIRECTORY / f"{name}{ending}"
        if ".." not in Path(name).parts and not Path(name).is_absolute() and file.is_file():
            return contract_of_file(file, root)
    known = [str(f.relative_to(root / DIRECTORY).with_suffix("")) for f in contract_files(root)]
    close = suggestion(name, known)
    raise NotFound(
        "unknown-contract",
        f"There is no contract {name!r}: {DIRECTORY}/{name}.yaml is no file of the project.",
        hint=f"Did you mean {close!r}?"
        if close
        else f"There are: {', '.join(known)}."
        if known
        else f"Write {DIRECTORY}/{name}.yaml, or give contract= a class.",
        contract=name,
    )


def contract_of_file(file: Path, root: Path | None = None) -> ContractSpec:
    """Read a contract file; errors name it relative to the project.

    Raises:
        NotFound: ``unknown-contract``, there is no such file.
        Invalid: ``contract-yaml``, and what ``read_contract`` raises.
    """
    from headgate.contracts.yaml_contracts import read_contract  # noqa: PLC0415 - it loads YAML

    shown = str(file.relative_to(root)) if root and file.is_relative_to(root) else str(file)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound("unknown-contract", f"There is no file {shown}.", file=shown) from error
    except UnicodeDecodeError as error:
        raise Invalid(
            "contract-yaml", f"{shown}: this is no UTF-8 text: byte {error.start}.", file=shown
        ) from error
    return read_contract(text, name=file.stem, file=shown)

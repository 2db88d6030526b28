"""The shapes: what is to run after what. Standard library only, because every peer imports it."""


def shape(name: str) -> list[tuple[str, list[str]]]:
    """Give (step, the steps before it) in an order that can be run.

    ``hello`` is three steps in a row, ``chain`` 1,000 in a row, ``wide`` 100 rows of 10.
    """
    chains, length = {"hello": (1, 3), "chain": (1, 1000), "wide": (100, 10)}[name]
    return [
        (f"s_{chain}_{place}", [f"s_{chain}_{place - 1}"] if place else [])
        for place in range(length)
        for chain in range(chains)
    ]


def ends(steps: list[tuple[str, list[str]]]) -> list[str]:
    """Give the steps nothing runs after."""
    needed = {before for _, befores in steps for before in befores}
    return [name for name, _ in steps if name not in needed]

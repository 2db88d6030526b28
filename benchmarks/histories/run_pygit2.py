"""The work of F10 on git's library: DIRECTORY KEYS CHANGED. Prints milliseconds by case as JSON."""

# ruff: noqa: B023 - what is timed is called at once

import json
import random
import statistics
import sys
import time

import pygit2

AREAS = 997
WHO = pygit2.Signature("bench", "bench@example.org")


def main() -> None:
    where, size, changed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    repository = pygit2.init_repository(where, bare=True)
    chance = random.Random(size)
    blob = repository.create_blob(bytes(500))
    keys = [(f"area{n % AREAS}", f"t{n:07d}") for n in range(size)]
    root = write(repository, None, dict.fromkeys(keys, blob))
    base = record(repository, "refs/heads/dev", root, [])
    walls: dict[str, list[float]] = {}
    for n in range(5 if size > 100_000 else 15):

        def timed(case, work):
            began = time.perf_counter()
            result = work()
            walls.setdefault(case, []).append((time.perf_counter() - began) * 1000)
            return result

        sample = chance.sample(keys, 2 * changed)

        def change(branch, parent, chosen_keys):
            chosen = {key: repository.create_blob(chance.randbytes(500)) for key in chosen_keys}
            tree = write(repository, repository[parent].tree, chosen)
            return record(repository, branch, tree, [parent])

        dev = repository.branches.local["dev"].target
        timed("branch", lambda: repository.branches.local.create(f"b{n}", repository[dev]))
        area, name = chance.choice(keys)
        timed("look-up", lambda: repository[dev].tree[area][name].id)
        ours = timed("commit", lambda: change("refs/heads/dev", dev, sample[:changed]))
        theirs = timed("commit", lambda: change(f"refs/heads/b{n}", dev, sample[changed:]))
        timed("diff", lambda: list(repository.diff(repository[dev], repository[ours]).deltas))

        def merge():
            trees = (repository[at].tree for at in (dev, ours, theirs))
            index = repository.merge_trees(*trees)
            tree = index.write_tree(repository)
            return record(repository, "refs/heads/dev", tree, [ours, theirs])

        timed("merge", merge)
    assert base
    print(json.dumps({case: statistics.median(times) for case, times in walls.items()}))


def write(repository, root, changes):
    """Give the tree with these blobs set, rebuilding only the directories that change."""
    by_area = {}
    for (area, name), blob in changes.items():
        by_area.setdefault(area, {})[name] = blob
    top = repository.TreeBuilder(root) if root else repository.TreeBuilder()
    for area, blobs in by_area.items():
        old = root[area] if root and area in root else None
        below = repository.TreeBuilder(old) if old else repository.TreeBuilder()
        for name, blob in blobs.items():
            below.insert(name, blob, pygit2.enums.FileMode.BLOB)
        top.insert(area, below.write(), pygit2.enums.FileMode.TREE)
    return top.write()


def record(repository, branch, tree, parents):
    return repository.create_commit(branch, WHO, WHO, "bench", tree, parents)


if __name__ == "__main__":
    main()

"""What a commit's tables need, by PyIceberg's own reading of their metadata."""

from headgate.lake import Commit, Lake


def iceberg_files(lake: Lake, commit: Commit) -> set[str]:
    """Give every file PyIceberg meets in the tables of a commit, relative to the lake."""
    prefix = f"{lake.storage.location}/"
    found: set[str] = set()

    def note(path: str) -> None:
        found.add(path.removeprefix("file://").removeprefix(prefix))

    for key, entry in lake.tree(commit).items("table/"):
        assert entry.table is not None, key
        note(entry.table.metadata)
        table = lake.tables.iceberg(key.removeprefix("table/"), entry)
        snapshot = table.current_snapshot()
        if snapshot is None:
            continue
        note(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            note(manifest.manifest_path)
            for one in manifest.fetch_manifest_entry(table.io):
                note(one.data_file.file_path)
    return found

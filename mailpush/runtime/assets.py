"""Static files as the web process serves them: compressed, under names that carry their hash."""

from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]


class AssetStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Leaves source map comments alone: packages ship the comment, and we do not ship the maps."""

    patterns = (("*.css", CompressedManifestStaticFilesStorage.patterns[0][1][:2]),)
    manifest_strict = False  # a missing file costs its own look, not the whole page

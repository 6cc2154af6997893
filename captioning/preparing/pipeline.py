"""From a source to a data set: read the source, divide it, compute features, and write the files."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from captioning.data.errors import DataError
from captioning.data.folder import (
    ALL_SPLITS,
    CAPTIONS_FILE,
    PHOTOS_FOLDER,
    PROJECTION_FILE,
    RAW_CAPTIONS_FILE,
    SPLITS,
    VOCABULARY_FILE,
    features_path,
    lines_path,
    regions_path,
)
from captioning.data.tokens import TOKENIZERS
from captioning.preparing.data_files import (
    NamedImages,
    choose_words,
    covering_length,
    place_photos,
    tokenised,
    write_captions,
    write_names,
    write_raw_captions,
    write_rows,
)
from captioning.preparing.images import (
    CaptionedImage,
    LeftOut,
    divide,
    find_photos,
    have_splits,
    name_images,
    photo_folders,
    with_captions,
)
from captioning.preparing.photo_features import MapBatches, compute_features, photo_fingerprint
from captioning.preparing.recipe import Prepared, Recipe
from captioning.preparing.region_sample import find_reduction, sample_of
from captioning.preparing.sources import read_sources
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.preparing.work_folder import WorkFolder
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.region_reduction import RegionReduction

__all__ = ["prepare_data"]


def prepare_data(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    recipe: Recipe | None = None,
    extractor: FeatureExtractor | None = None,
    photo_places: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
    map_batches: MapBatches = map,
) -> Prepared:
    """Make the data set `out` from the captions and photos of a source.

    source: COCO's caption JSON, JSON with splits like Karpathy's, a table `image,split,caption`, or a folder of photos
    with text files; several sources must be COCO's files, see `read_sources`.
    extractor: the network that computes features; None for captions alone, which need no photos.
    photo_places: folders to search for the photos; by default where the source is.
    map_batches: maps a function over batches of photos, see `compute_batches`; it does not change the bits of the data
    set.

    `out` appears only when it is complete. After a kill or Ctrl-C, the same call resumes with the features that were
    computed, and the data set is bit-identical to that of an uninterrupted call.

    Raises:
        DataError: if the source cannot be used; says what is wrong, where, and what would fit.
        OSError: if a file cannot be read or written.
    """
    sources = [Path(path) for path in ([source] if isinstance(source, str | os.PathLike) else source)]
    out = Path(out)
    name = " and ".join(map(str, sources))
    recipe, progress, left_out = recipe or Recipe(), progress or Progress(enabled=False), LeftOut()
    if recipe.regions is not None and extractor is None:
        raise DataError("regions need features of photos: leave out --no-features, or --regions")
    for path in sources:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise DataError(f"{out}: is inside the source {path}, which would include its photos; choose another --out")
    progress.say(f"reading {name}")
    images = with_captions(read_sources(sources, left_out, recipe.format), name, left_out)
    captions_before = _captions_by_split(images)
    photos: list[Path] = []
    paths: list[Path | None] = []
    folders = photo_folders(sources, [Path(place) for place in photo_places])
    if extractor is not None or photo_places:
        paths = find_photos(images, folders, left_out)
        images = [image for image, path in zip(images, paths, strict=True) if path is not None]
        photos = [path for path in paths if path is not None]
    lost = "; ".join(left_out.lines())
    cure = "Name the folder of the photos with --photos-dir" if None in paths else "Add what is missing"
    if not captions_before:
        raise DataError(f"{name}: {lost}. Write the captions of NAME.jpg into NAME.txt, one per line, or give a COCO "
                        "JSON or CSV file.")  # fmt: skip
    if lost and not recipe.skip_missing:
        raise DataError(f"{name}: {lost}. {cure}, or leave them out with --skip-missing.")
    if not images:
        raise DataError(f"{name}: no image is left: {lost}. {cure}.")
    if drawn := recipe.resplit or not have_splits(images, name):
        divide(images, recipe.val, recipe.test, recipe.seed)
    order = sorted(range(len(images)), key=lambda n: ALL_SPLITS.index(str(images[n].split)))
    images, photos = [images[n] for n in order], [photos[n] for n in order] if photos else []
    needed = SPLITS if recipe.vocabulary is None else ()
    advice = ". Training needs train and val: " if needed else "; "
    advice += "another --seed or --val draws other splits" if drawn else "--resplit draws new splits of the images"
    if not drawn:
        missing: dict[str | None, str] = dict.fromkeys(ALL_SPLITS, "are missing")
        if problem := _empty_split(images, needed or captions_before, captions_before, missing):
            raise DataError(f"{name}: {problem}{advice}.")
    names = name_images([image.path for image in images])

    with WorkFolder(out) as work:
        failed: dict[int, str] = {}
        reduction = None
        if extractor is not None:
            failed, reduction = _write_features(images, photos, work, extractor, recipe, progress, map_batches)
        kept = [n for n in range(len(images)) if n not in failed]
        left = [images[n] for n in kept]
        why = {images[n].split: f"cannot be read, the first {failed[n]}" for n in sorted(failed, reverse=True)}
        captions_before = _captions_by_split(images)
        if problem := _empty_split(left, needed or captions_before, captions_before, why):
            raise DataError(f"{out}: {problem}{advice}.")
        splits: dict[str, NamedImages] = {}
        for split in ALL_SPLITS:
            if named := [(names[n], images[n]) for n in kept if images[n].split == split]:
                splits[split] = named
                write_names(lines_path(work.new, split, "images"), named)
        write_raw_captions(work.new / RAW_CAPTIONS_FILE, splits)

        progress.say(f"splitting {sum(_captions_by_split(left).values()):,} captions into words")
        tokenizer = TOKENIZERS[recipe.tokenizer]
        counts: Counter[str] = Counter()
        lengths = []
        training = splits["train"] if "train" in splits else [each for named in splits.values() for each in named]
        for words in tokenised(training, tokenizer, progress):
            counts.update(words)
            lengths.append(len(words))
        vocabulary = recipe.vocabulary or choose_words(counts, recipe.min_count, recipe.words)
        vocabulary.to_json(work.new / VOCABULARY_FILE)
        length = recipe.max_length or covering_length(lengths)
        summaries = write_captions(
            work.new / CAPTIONS_FILE, splits, (recipe.tokenizer, tokenizer), vocabulary, length, progress
        )
        photo_files = recipe.photos if photos else "none"
        if photo_files != "none":
            by_name = {names[n]: photos[n] for n in kept}
            place_photos(work.new / PHOTOS_FOLDER, work.out / PHOTOS_FOLDER, by_name, photo_files == "copy", progress)
        work.finish()
    return Prepared(
        out, summaries, vocabulary, length, left_out, [failed[n] for n in sorted(failed)],
        None if extractor is None else extractor.name, photo_files, reduction,
    )  # fmt: skip


def _captions_by_split(images: Sequence[CaptionedImage]) -> Counter[str | None]:
    return Counter(image.split for image in images for _ in image.captions)


def _empty_split(
    images: Sequence[CaptionedImage],
    needed: Iterable[str | None],
    before: Counter[str | None],
    why: Mapping[str | None, str],
) -> str:
    """Return which needed split has no images, and why; empty if there is none.

    before: the number of captions of each split before images were left out. why: by split, why they were, such as
    'are missing'.
    """
    for split in needed:
        if not any(image.split == split for image in images):
            if before[split]:
                return f"no image is left in the split {split}: its photos ({before[split]:,} captions) {why[split]}"
            return f"no image with captions is in the split {split}"
    return ""


def _write_features(
    images: Sequence[CaptionedImage],
    photos: Sequence[Path],
    work: WorkFolder,
    extractor: FeatureExtractor,
    recipe: Recipe,
    progress: Progress,
    map_batches: MapBatches,
) -> tuple[dict[int, str], RegionReduction | None]:
    """Write the features of all splits, and the regions if the recipe has any.

    Returns the reasons why photos cannot be read, by place, and how the regions were made.
    """
    fingerprint, reduction = photo_fingerprint(photos, extractor), None
    shape: tuple[int, ...] = ()
    if recipe.regions is not None:
        training = [photos[n] for n, image in enumerate(images) if image.split == "train"]
        sample = sample_of(training or photos)
        reduction = find_reduction(
            sample, extractor, recipe.regions, work.reduction, progress, recipe.strict, map_batches, recipe.projection
        )
        fingerprint = hashlib.sha256(fingerprint + reduction.digest()).digest()
        shape = reduction.shape(extractor.grid)
        reduction.projection.save(work.new / PROJECTION_FILE)
    with UnfinishedFeatures(work.features, fingerprint, extractor.size, shape) as rows:
        if len(rows):
            progress.say(f"resuming after the features of {len(rows):,} photos")
        failed = compute_features(photos, extractor, rows, progress, recipe.strict, reduction, map_batches)
        for split in ALL_SPLITS:
            if chosen := [n for n, image in enumerate(images) if image.split == split and n not in failed]:
                write_rows(
                    features_path(work.new, split, pca=False), rows, "features", chosen, {"extractor": extractor.name}
                )
                if reduction is not None:
                    write_rows(regions_path(work.new, split), rows, "regions", chosen, {
                        "scale": reduction.scale, "offset": reduction.offset,
                        "projection": reduction.projection.fingerprint(),
                    })  # fmt: skip
    return failed, reduction

"""`python requirements/trim_image.py DIRECTORY` removes from packages what no request needs, and tells sizes.

Lambda loads an image block by block, so a file that nobody opens costs little at a cold start; but it is pushed,
pulled, stored and scanned. handler/Dockerfile runs this; tests/test_image_set.py runs the server on what it leaves.
"""

import sys
from fnmatch import fnmatchcase
from pathlib import Path

# The AWS services whose clients can be made; botocore describes four hundred.
SERVICES = ("cloudwatch", "dynamodb", "s3", "secretsmanager", "ssm", "sts")

# Paths below the directory of packages; a star stands for any characters, slashes too.
DROPPED = (
    # The library for programs in C: Python's own module holds all of it.
    "onnxruntime/capi/libonnxruntime.so*",
    # To make and convert models, to compile against numpy.
    "onnxruntime/datasets/*",
    "onnxruntime/quantization/*",
    "onnxruntime/tools/*",
    "onnxruntime/transformers/*",
    "numpy/_core/include/*",
    "numpy/_core/lib/*",
    "numpy/f2py/*",
    # What tokenizers downloads with.
    "fsspec/*",
    "fsspec-*.dist-info/*",  # what is not there is not listed either: not in the bill of materials, not by a scanner
    "hf_xet/*",
    "hf_xet-*.dist-info/*",
    "huggingface_hub/*",
    "huggingface_hub-*.dist-info/*",
    # Tests, types, examples, commands.
    "*/tests/*",
    "*.pyi",
    "boto3/examples/*",
    "botocore/data/*/examples-1.json*",
    "bin/*",
)


def is_dropped(path: str) -> bool:
    """Whether the image does without this file; `path` is relative to the directory of packages."""
    match path.split("/"):
        case ["botocore" | "boto3", "data", service, _, *_] if service not in SERVICES:
            return True
    return any(fnmatchcase(path, pattern) for pattern in DROPPED)


def main(directory: Path) -> None:
    """Removes the files, and the directories that are empty then."""
    before = after = 0
    for path in sorted(directory.rglob("*"), reverse=True):  # what a directory holds comes before it
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
            continue
        size = path.lstat().st_size
        before += size
        if is_dropped(path.relative_to(directory).as_posix()):
            path.unlink()
        else:
            after += size
    sys.stdout.write(f"packages: {before / 1e6:.0f} MB, of which requests need {after / 1e6:.0f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

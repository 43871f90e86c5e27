"""From handler/Dockerfile to an image, its sizes and its bill of materials: `python -m image_build`, or `make image`.

With Docker or without: Debian's buildah needs no engine that runs, and no registry where the base is made of Debian's
packages. Only the standard library is needed.
"""

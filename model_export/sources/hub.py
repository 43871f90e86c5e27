"""A repository of the Hugging Face hub, or of a mirror that HF_ENDPOINT names; offline, from the cache."""

import re
import sys
from pathlib import Path

from handler.manifest import Source
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.directory import directory_checkpoint

_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
_FILES = ["*.json", "*.safetensors", "*.jinja", "README.md"]
# The same weights in other formats; of the directories, only sentence-transformers' 1_Pooling matters.
_OTHER_COPIES = ["[!1]*/*", "1[!_]*/*", "consolidated*"]


class HubRepository:
    """SOURCE is `organisation/name`, optionally with `@revision` (a branch, a tag or a commit).

    `endpoint` and `cache` None: what HF_ENDPOINT and HF_HUB_CACHE say, else the hub itself and the user's cache.
    """

    form = "a hub id (organisation/name or organisation/name@revision)"

    def __init__(self, endpoint: str | None = None, cache: Path | None = None) -> None:
        self._endpoint = endpoint
        self._cache = cache

    def accepts(self, source: str) -> bool:
        return _ID.fullmatch(source) is not None

    def load(self, source: str, progress: Progress) -> Checkpoint:
        match = _ID.fullmatch(source)
        if match is None:
            raise ValueError(f"{source!r} is not a hub id")
        repository, revision = match["repository"], match["revision"]
        with progress.phase("download"):
            snapshot = self._download(repository, revision)
        return directory_checkpoint(
            snapshot,
            name=repository.rpartition("/")[2],
            source=Source(kind="hub", id=repository, revision=snapshot.name),
        )

    def _download(self, repository: str, revision: str | None) -> Path:
        """The snapshot's directory in the cache; it is named by the resolved commit."""
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        if not sys.stderr.isatty():
            disable_progress_bars()
        at = f"{repository}@{revision}" if revision else repository
        try:
            path = snapshot_download(
                repository,
                revision=revision,
                endpoint=self._endpoint,
                cache_dir=self._cache,
                allow_patterns=_FILES,
                ignore_patterns=_OTHER_COPIES,
            )
        except errors.GatedRepoError:
            raise ExportError(
                f"{at} is gated: accept its terms on the hub, then `hf auth login` or set HF_TOKEN"
            ) from None
        except errors.RepositoryNotFoundError:
            raise ExportError(
                f"{at} is neither a directory here nor a repository of the hub: check the spelling; for a private one,"
                " `hf auth login` or set HF_TOKEN"
            ) from None
        except errors.RevisionNotFoundError:
            raise ExportError(f"{repository} has no revision {revision!r}: give a branch, a tag or a commit") from None
        except errors.LocalEntryNotFoundError:
            raise ExportError(
                f"{at} is not in the local cache and the hub cannot be reached: check the connection (HF_HUB_OFFLINE,"
                " HF_ENDPOINT), or give a local directory"
            ) from None
        except errors.HfHubHTTPError as error:
            status = "an error" if error.response is None else error.response.status_code
            raise ExportError(f"{at}: the hub answered {status}: try again later") from None
        except errors.HFValidationError:
            raise ExportError(f"{at} is no valid hub id: check the spelling") from None
        except OSError as error:  # a dropped connection, a full disk
            raise ExportError(f"{at}: the download broke off ({type(error).__name__}): run the command again") from None
        return Path(path)

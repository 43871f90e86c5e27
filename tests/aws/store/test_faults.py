"""What can go wrong between S3 and the memory: it is mended, or it does not serve and says what would have worked."""

import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from handler.aws.store.patience import Patience
from handler.aws.store.source import S3Source
from handler.errors import ArtifactError, ConfigurationError
from handler.manifest import PART_BYTES
from tests.aws.store.conftest import FILES, IMPATIENT, LOCATION, WEIGHTS, publish, read
from tests.aws.store.faulty_s3 import Answer, Fault, FaultyS3, cut, flipped, refusal

MANIFEST, TOKENIZER, DATA = (LOCATION.key(name) for name in ("manifest.json", "tokenizer.json", "model.onnx.data"))


def test_a_published_model_is_read_as_it_is(store: FaultyS3) -> None:
    assert read() == FILES
    ranges = [(0, PART_BYTES), (PART_BYTES, 2 * PART_BYTES), (2 * PART_BYTES, len(WEIGHTS))]
    assert Counter(store.asked) == Counter(
        [
            (MANIFEST, None),
            (TOKENIZER, "bytes=0-1"),
            (LOCATION.key("model.onnx"), "bytes=0-6"),
            *((DATA, f"bytes={start}-{end - 1}") for start, end in ranges),
        ]
    )


def test_a_manifest_from_before_parts_had_sums_is_read(store: FaultyS3) -> None:
    publish(store, parts=False)
    assert read() == FILES


def test_a_pinned_location_is_read_as_long_as_the_manifest_is_that_one(store: FaultyS3) -> None:
    pinned = replace(LOCATION, sha256=publish(store))
    assert read(pinned) == FILES
    other = publish(store, parts=False)
    with pytest.raises(ArtifactError, match=f"has the sha256 {other}, not the one of .*: publish a model to a prefix"):
        read(pinned)


PASSING: list[Fault] = [
    refusal(500, "InternalError"),
    refusal(503, "SlowDown"),
    refusal(429, "Throttling"),
    refusal(400, "RequestTimeout"),
    lambda _answer: Answer(502, {}, b"<html>"),
    cut(0),
    cut(1),
]
NAMES = ["500", "503", "429", "400 by a time-out", "502 by a proxy", "no byte", "one byte"]


@pytest.mark.parametrize("fault", PASSING, ids=NAMES)
@pytest.mark.parametrize("key", [MANIFEST, DATA])
def test_what_passes_is_waited_for(store: FaultyS3, key: str, fault: Fault) -> None:
    store.once[key].extend([fault, fault])
    assert read() == FILES


@pytest.mark.parametrize("fault", PASSING[:-1], ids=NAMES[:-1])
@pytest.mark.parametrize("key", [MANIFEST, TOKENIZER])
def test_what_does_not_pass_ends_after_some_attempts(store: FaultyS3, key: str, fault: Fault) -> None:
    store.always[key] = fault
    with pytest.raises(ConfigurationError, match=rf"^s3://models/{key} could not be read in 4 attempts .*gateway end"):
        read()


def test_a_broken_answer_goes_on_from_where_it_broke(store: FaultyS3) -> None:
    store.once[DATA].extend([cut(PART_BYTES // 2 + 5)] * 3)
    assert read() == FILES
    resumed = [wanted for key, wanted in store.asked if key == DATA][3:]
    starts = sorted(int(wanted.removeprefix("bytes=").split("-")[0]) for wanted in resumed if wanted)
    assert starts == [PART_BYTES // 2 + 5, 3 * PART_BYTES // 2 + 5]


def test_of_a_damaged_part_that_part_alone_is_read_again(store: FaultyS3) -> None:
    store.once[DATA].append(flipped(6))
    assert read() == FILES
    asked = Counter(wanted for key, wanted in store.asked if key == DATA)
    assert sorted(asked.values()) == [1, 1, 2]


@pytest.mark.parametrize("key", [TOKENIZER, DATA])
def test_a_damaged_file_whose_parts_have_no_sums_is_read_again(store: FaultyS3, key: str) -> None:
    publish(store, parts=False)
    store.once[key].append(flipped(1))
    assert read() == FILES


@pytest.mark.parametrize("key", [TOKENIZER, DATA])
@pytest.mark.parametrize("parts", [True, False])
def test_what_stays_damaged_never_serves(store: FaultyS3, parts: bool, key: str) -> None:
    publish(store, parts=parts)
    store.always[key] = flipped(1)
    with pytest.raises(
        ArtifactError, match=rf"s3://models/{key}.* manifest.*: publish the model again, to a prefix of"
    ):
        read()


def test_a_damaged_manifest_never_serves(store: FaultyS3) -> None:
    pinned = replace(LOCATION, sha256=publish(store))
    store.always[MANIFEST] = flipped(20)
    with pytest.raises(ArtifactError, match=r"has the sha256 .*, not the one of"):
        read(pinned)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"", b"[]", b'{"format_version": 2}'])
def test_a_manifest_that_is_none_never_serves(store: FaultyS3, data: bytes) -> None:
    store.objects[MANIFEST] = data
    with pytest.raises(ArtifactError, match=f"^s3://models/{MANIFEST} .*export the model again"):
        read()


@pytest.mark.parametrize("data", [WEIGHTS[:-1], WEIGHTS + b"!", b""], ids=["shorter", "longer", "empty"])
def test_an_object_of_another_size_never_serves(store: FaultyS3, data: bytes) -> None:
    store.objects[DATA] = data
    with pytest.raises(ArtifactError, match=rf"{DATA} (holds {len(data)} bytes instead of|is shorter than its)"):
        read()


def test_an_object_that_is_replaced_meanwhile_never_serves(store: FaultyS3) -> None:
    def replaced(answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers | {"ETag": '"another"'}, answer.body)

    store.once[DATA].append(replaced)
    with pytest.raises(ArtifactError, match=f"{DATA} was replaced while it was read: publish a model to a prefix of"):
        read()


@pytest.mark.parametrize("key", [MANIFEST, TOKENIZER, DATA])
def test_a_missing_object_is_named(store: FaultyS3, key: str) -> None:
    del store.objects[key]
    with pytest.raises(
        ArtifactError, match=rf"^s3://models/{key} is missing: publish the model with `make publish TO="
    ):
        read()


@pytest.mark.usefixtures("store")
def test_a_missing_bucket_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no bucket elsewhere: name the one that"):
        read(replace(LOCATION, bucket="elsewhere"))


REFUSALS = {
    "forbidden": (refusal(403, "AccessDenied"), r"allow s3:GetObject on arn:aws:s3:::models/tiny/v1/\*"),
    "expired": (refusal(400, "ExpiredToken"), "400 ExpiredToken"),
    "moved": (refusal(301, "PermanentRedirect", x_amz_bucket_region="eu-north-1"), "set AWS_REGION to eu-north-1$"),
}


@pytest.mark.parametrize(("fault", "says"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("key", [MANIFEST, TOKENIZER])
def test_a_refusal_says_what_to_allow(store: FaultyS3, key: str, fault: Fault, says: str) -> None:
    store.always[key] = fault
    with pytest.raises(ConfigurationError, match=says):
        read()


def test_a_store_without_ranges_is_refused(store: FaultyS3) -> None:
    def whole(answer: Answer) -> Answer:
        return Answer(200, {"ETag": answer.headers["ETag"]}, WEIGHTS)

    store.always[DATA] = whole
    with pytest.raises(ArtifactError, match="cannot be read in ranges: use a store that knows them"):
        read()


@pytest.mark.usefixtures("store")
def test_without_credentials_it_says_what_gives_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="without AWS credentials: give the function a role"):
        read()


@pytest.mark.usefixtures("store")
def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-knows")
    with pytest.raises(ConfigurationError, match="nobody-knows"):
        read()


def test_a_store_that_falls_silent_is_asked_again(store: FaultyS3) -> None:
    def silent(answer: Answer) -> Answer:
        time.sleep(5.5)  # longer than a read waits
        return answer

    store.once[TOKENIZER].append(silent)
    assert read() == FILES
    assert [key for key, _ in store.asked].count(TOKENIZER) == 2


def memory_files() -> list[str]:
    """Those that this process has open. Its sockets are not all its own here: the server's are among them."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory's own
            links.append(str(descriptor.readlink()))
    return [link for link in links if link.startswith("/memfd:")]


def test_who_needs_the_files_no_more_waits_for_none_and_leaves_nothing_open(store: FaultyS3) -> None:
    before = memory_files()
    store.always[DATA] = refusal(503, "SlowDown")
    files = S3Source(LOCATION, patience=Patience(attempts=100, first_pause=60, longest_pause=60)).fetch()
    files.wait("tokenizer.json")
    assert len(memory_files()) == len(before) + len(FILES)
    files.close()
    assert not files.directory.exists()
    assert memory_files() == before


def test_a_file_that_the_manifest_does_not_list_is_an_error(store: FaultyS3) -> None:
    files = S3Source(LOCATION, patience=IMPATIENT).fetch()
    with closing(files), pytest.raises(ArtifactError, match=r"lists no sum of chat\.jinja: export the model again"):
        files.wait("chat.jinja")
    assert store.asked

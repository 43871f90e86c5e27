"""This machine's way to packages, as the build is told of it."""

from pathlib import Path

from image_build.pip_configuration import chosen, furnish, local_paths, pip_conf

LISTING = """\
:env:.cert='/env.pem'
:env:.target='/somewhere'
global.cert='/global.pem'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
install.no-compile='true'
"""


def test_the_environment_wins_and_what_is_not_about_sources_stays_here() -> None:
    assert chosen(LISTING) == {
        "cert": "/env.pem",
        "extra-index-url": "https://a.example/simple\nhttps://b.example/simple",
    }


def test_no_configuration_is_none() -> None:
    assert (chosen(""), pip_conf({}), local_paths({})) == ({}, "[global]\n", [])


def test_the_build_gets_copies_of_files_and_mounts_of_directories(tmp_path: Path) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "ca.pem").write_text("a certificate")
    home = tmp_path / "home"
    options = {
        "cert": f"{tmp_path}/ca.pem",
        "extra-index-url": f"https://a.example/simple file://{tmp_path}/index/simple",
        "find-links": f"{tmp_path}/no/such/directory",
    }
    assert furnish(home, options) == {home: "/root", tmp_path / "index": f"/root/shared{tmp_path}/index"}
    assert (home / ".config/pip/pip.conf").read_text() == (
        "[global]\n"
        f"cert = /root/shared{tmp_path}/ca.pem\n"
        f"extra-index-url = https://a.example/simple file:///root/shared{tmp_path}/index/simple\n"
        f"find-links = {tmp_path}/no/such/directory\n"
    )
    shared = home / "shared" / tmp_path.relative_to("/")
    assert (shared / "ca.pem").read_text() == "a certificate"
    assert list((shared / "index").iterdir()) == []  # where the directory is mounted

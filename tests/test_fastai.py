"""colorlab's loaders are fastai's: whatever a stock `Learner` does with loaders, it does with these.

And colorlab's learner is one: fastai's callbacks work in it.
"""

import random

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from conftest import colorlab
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.data.core import DataLoader, DataLoaders
from fastai.interpret import Interpretation
from fastai.learner import Learner, load_learner
from fastai.torch_basics import Transform
from PIL import Image
from torch import nn

from colorlab.batches import ColorPair, PhotoDataset
from colorlab.data import make_manifest
from colorlab.images import BadInput
from colorlab.lab import LAB, RGB, SPACES
from colorlab.learner import network_learner
from colorlab.loaders import photo_loaders
from colorlab.training import train

matplotlib.use('Agg')
import fastai.callback.all  # noqa: E402, F401  lr_find and the other callbacks
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture
def dls(photos):
    return photo_loaders(photos, size=32, bs=4)


@pytest.fixture
def learn(dls, tmp_path):
    torch.manual_seed(0)
    learn = Learner(dls, nn.Conv2d(1, 2, 1), loss_func=F.l1_loss, path=tmp_path)
    learn.remove_cbs([cb for cb in learn.cbs if cb.name == 'progress'])
    return learn


def drawn():
    "The labels at the left of the rows drawn last, and the pictures in all."
    axes = plt.gcf().axes
    labels = [text.get_text() for ax in axes for text in ax.texts]
    return labels, sum(len(ax.images) for ax in axes)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close('all')


def test_loaders_are_what_fastai_expects(dls):
    assert isinstance(dls, DataLoaders) and all(isinstance(dl, DataLoader) for dl in dls)
    assert (len(dls), dls.bs, dls.n_inp, dls.device.type) == (2, 4, 1, 'cpu')
    assert dls[0] is dls.train and dls[1] is dls.valid
    assert dls.train.dataset is dls.train_ds and dls.valid.dataset is dls.valid_ds
    assert (len(dls.train_ds), len(dls.valid_ds)) == (19, 3)
    assert (len(dls.train), len(dls.valid)) == (4, 1)
    x, y = dls.train_ds[0]
    assert x.shape == (1, 32, 32) and y.shape == (2, 32, 32)
    xb, yb = dls.one_batch()
    assert xb.shape == (4, 1, 32, 32) and yb.shape == (4, 2, 32, 32)
    for dl in dls:
        assert len(list(dl)) == len(dl)
    assert dls.cpu() is dls and dls.to(torch.device('cpu')) is dls
    assert dls.cuda().device.type in ('cuda', 'cpu', 'mps')  # where there is a GPU, it is used


def test_items_and_batches_agree(dls):
    for i, (x, y) in enumerate((x, y) for xb, yb in dls.valid for x, y in zip(xb, yb)):
        assert all(map(torch.equal, dls.valid_ds[i], (x, y)))


def test_order_crops_and_flips_depend_on_seed_and_epoch_alone(dls):
    "As they have always been: exact resuming rests on it."
    loader = photo_loaders(make_manifest(dls.path), size=32, bs=4, vflip=0.5, seed=7).train
    n = len(loader.dataset)
    for epoch in (0, 1, 5):
        rng = np.random.default_rng([7, epoch])
        order = rng.permutation(n)
        at = rng.random((n, 2))
        flips = rng.random((n, 2)) < [0.5, 0.5]
        loader.epoch = epoch
        batches = list(loader)
        assert loader.epoch == epoch + 1
        x = torch.cat([x for x, _ in batches])
        for i in range(len(x)):
            crop = loader.dataset.crop(order[i], at[i]).transpose(2, 0, 1)
            crop = crop[:, :: -1 if flips[i, 1] else 1, :: -1 if flips[i, 0] else 1]
            assert np.array_equal(LAB.split(np.ascontiguousarray(crop))[0], x[i].numpy())
    again = loader.new(epoch=5)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, batches, strict=True))


def test_no_random_number_of_others_is_used(photos):
    state, torch_state = random.getstate(), torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()
    dls = photo_loaders(photos, size=32, bs=4)
    for _ in dls.train, dls.valid, dls.valid.new(shuffle=True):
        list(_)
    assert random.getstate() == state and torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_new_changes_what_it_is_told(dls):
    whole = dls.train.new(shuffle=False, drop_last=False)
    assert whole.dataset is dls.train_ds and len(whole) == 5
    assert all(torch.equal(x, dls.train_ds[i][0]) for i, x in enumerate(torch.cat([x for x, _ in whole])))
    assert dls.valid.new(bs=2).bs == 2
    shuffled = dls.valid.new(shuffle=True)
    assert sorted(shuffled.get_idxs()) == list(range(3)) and shuffled.get_idxs() != list(range(3))
    parts = photo_loaders(dls.path, size=32, bs=4, micro_batches=2).train
    assert (parts.bs, len(parts), parts.new().bs, len(parts.new())) == (2, 8, 2, 8)


def test_after_batch_transforms_run(dls):
    dls.add_tfms([Transform(lambda part: 0 * part)], 'after_batch', [1])
    assert all(part.eq(0).all() for part in dls.valid.one_batch())
    assert not dls.train.one_batch()[0].eq(0).all()


def test_decoding_gives_pictures(dls):
    batch = dls.valid.one_batch()
    pairs = dls.decode_batch(batch, max_n=3)
    assert len(pairs) == 3 and all(isinstance(pair, ColorPair) for pair in pairs)
    gray, color = pairs[0]
    assert gray.size == color.size == (32, 32)
    assert np.ptp(np.asarray(gray).astype(int), axis=2).max() <= 1
    truth = dls.valid_ds.crop(0).astype(int)
    assert np.abs(np.asarray(color).astype(int) - truth).max() <= 1
    assert dls.decode_batch(batch[:1])[0].color is None


@pytest.mark.parametrize('space', SPACES.values(), ids=SPACES)
def test_every_space_is_shown(photos, space):
    dls = photo_loaders(photos, space, size=30, bs=4)
    dls.show_batch(max_n=2)
    assert drawn() == (['gray', 'truth'], 4)
    dls.valid.show_batch(unique=True, max_n=3)
    assert drawn() == (['gray', 'truth'], 6)


def test_a_unique_photo_is_one_photo(dls):
    epoch = dls.train.epoch
    dls.show_batch(unique=True)
    assert dls.train.epoch == epoch


def test_stock_learner_trains_and_validates(learn):
    with learn.no_logging():
        before = learn.validate()[0]
        learn.fit(2, 0.1)
    assert learn.validate()[0] < before
    assert learn.dls.train.epoch == 2


def test_get_preds_are_in_order(learn):
    for dl, dataset in ((0, learn.dls.train_ds), (1, learn.dls.valid_ds)):
        x, pred, y = learn.get_preds(ds_idx=dl, with_input=True)
        assert len(x) == len(dataset)
        for i in range(len(x)):
            assert torch.equal(x[i], dataset[i][0]) and torch.equal(y[i], dataset[i][1])
        assert torch.allclose(pred, learn.model(x), atol=1e-6)
    losses = learn.get_preds(with_loss=True)[2]
    assert losses.shape == (3,)


def test_predict_takes_photos_from_anywhere(learn, photos):
    file = sorted(photos.rglob('*.jpg'))[0]
    img = Image.open(file).convert('RGB')
    pixels = np.asarray(img)
    floats = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    results = [learn.predict(item) for item in (file, str(file), img, pixels, floats, torch.tensor(floats))]
    for color, decoded, y in results:
        assert isinstance(color, Image.Image) and color.size == (32, 32) and y.shape == (2, 32, 32)
        assert torch.equal(y, results[0][2]) and torch.equal(decoded, y)
    color, *_ = learn.predict(img.convert('L'))  # no truth is needed
    assert color.size == (32, 32)
    given = learn.predict(file, with_input=True)
    assert len(given) == 4 and given[0].size == (32, 32)


def test_test_dl_has_no_truth(learn, photos):
    files = sorted(photos.rglob('*.jpg'))[:6]
    dl = learn.dls.test_dl(files)
    assert len(dl.dataset) == 6 and [len(batch) for batch in dl] == [1, 1]
    pred, y = learn.get_preds(dl=dl)
    assert pred.shape == (6, 2, 32, 32) and y is None
    learn.show_results(dl=dl, max_n=3)
    assert drawn() == (['gray', 'prediction'], 6)
    with pytest.raises(BadInput, match='no such file'):
        learn.predict(photos / 'nowhere.jpg')


def test_show_results_draws_three_rows(learn):
    learn.show_results(max_n=3)
    assert drawn() == (['gray', 'prediction', 'truth'], 9)
    learn.show_results(ds_idx=0, max_n=2, shuffle=False, figsize=(3, 3))
    assert drawn() == (['gray', 'prediction', 'truth'], 6)


def test_lr_find(learn):
    assert learn.lr_find(num_it=8, show_plot=False).valley > 0


def test_exported_it_predicts(learn, photos, tmp_path):
    file = sorted(photos.rglob('*.jpg'))[0]
    wanted = learn.predict(file)[2]
    learn.export('all.pkl')
    assert len(learn.dls.train_ds) == 19  # it has its photos back
    loaded = load_learner(tmp_path / 'all.pkl')
    assert len(loaded.dls.train_ds) == 0
    assert torch.equal(loaded.predict(file)[2], wanted)


def test_exported_in_rgb(photos, tmp_path):
    dls = photo_loaders(photos, RGB, size=32, bs=4)
    learn = Learner(dls, nn.Conv2d(1, 3, 1), loss_func=F.l1_loss, path=tmp_path)
    learn.export('rgb.pkl')
    assert load_learner(tmp_path / 'rgb.pkl').predict(np.zeros((40, 50), np.uint8))[0].size == (32, 32)


def test_interpretation(learn):
    losses, idxs = Interpretation.from_learner(learn).top_losses()
    assert len(losses) == 3 and sorted(idxs.tolist()) == list(range(3))


def test_weights_of_zero_are_refused(dls):
    manifest = make_manifest(dls.path)
    train = manifest.table.split == 'train'
    manifest.table['weight'] = np.where(train, 0, 1)
    with pytest.raises(BadInput, match='all 0'):
        photo_loaders(manifest, size=32)
    manifest.table['weight'] = np.where(train, 1, 0)  # those are not drawn
    assert photo_loaders(manifest, size=32, bs=4).one_batch()[0].shape == (4, 1, 32, 32)


def test_a_data_set_of_ones_own(dls):
    empty = dls.train_ds.new_empty()
    assert isinstance(empty, PhotoDataset) and len(empty) == 0 and list(dls.valid.new(empty)) == []


@pytest.fixture
def color(dls, tmp_path):
    "Our learner, of the smallest network that learns."
    learn = network_learner(dls, nn.Conv2d(1, 2, 3, padding=1), lr=0.05, path=tmp_path)
    learn.remove_cbs([cb for cb in learn.cbs if cb.name == 'progress'])
    return learn


def scalars(folder):
    "What TensorBoard reads there: name -> (step, value) of each point."
    events = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator', reason='no tensorboard here')
    read = events.EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in read.Scalars(name)] for name in read.Tags()['scalars']}


def test_fastais_tensorboard_callback(color, tmp_path):
    pytest.importorskip('tensorboard', reason='TensorBoard is not installed: pip install tensorboard')
    from fastai.callback.tensorboard import TensorBoardCallback

    color.fit(2, cbs=TensorBoardCallback(tmp_path / 'tb', trace_model=False, log_preds=False))
    found = scalars(tmp_path / 'tb')
    assert {step for step, _ in found['train_loss']} == {*range(1, 9)}  # two epochs of four batches
    last = dict(zip(color.recorder.metric_names[1:], color.recorder.values[-1]))
    assert found['psnr'][-1][1] == pytest.approx(last['psnr'], rel=1e-5)


def test_fastais_save_model_callback_brings_the_best_epoch_back(color):
    "The third epoch destroys what was learned; afterwards the model is that of the best epoch."

    class Destroy(Callback):
        def before_epoch(self):
            if self.epoch == 2:
                self.opt.set_hyper('lr', 100.0)

    color.fit(3, cbs=[Destroy(), SaveModelCallback(monitor='psnr', fname='best')])
    values = color.recorder.values
    psnr = [row[color.recorder.metric_names[1:].index('psnr')] for row in values]
    assert np.argmax(psnr) < 2 and psnr[2] < max(psnr) - 3 and (color.path / 'models' / 'best.pth').exists()
    with color.no_logging():
        assert color.validate()[1] == pytest.approx(max(psnr), abs=1e-3)


def test_fastais_early_stopping_callback(color):
    with color.no_logging():
        color.fit(20, lr=0.0, cbs=EarlyStoppingCallback(monitor='ab_rmse', comp=np.less, patience=2))
    assert len(color.recorder.values) == 3  # nothing gets better, so two epochs after the first it ends


def test_curves_go_on_where_the_run_does(photos, tmp_path):
    "`train(log=...)`: the rows of history.csv; a resumed run adds its own to them."
    pytest.importorskip('tensorboard', reason='TensorBoard is not installed: pip install tensorboard')
    run, how = tmp_path / 'run', dict(log='tensorboard', progress=False)
    small = dict(arch='autoencoder', args=dict(nf=4), data=str(photos), size=32, bs=8, schedule='constant')
    train(run, epochs=2, **how, **small)
    train(run, resume=True, epochs=3, **how)
    history = pd.read_csv(run / 'history.csv')
    points = scalars(run / 'tensorboard')['psnr']
    assert [step for step, _ in points] == [1, 2, 3]
    assert [value for _, value in points] == pytest.approx(list(history.psnr), rel=1e-5)


def test_an_unknown_log_is_one_line_before_anything_is_made(photos, tmp_path):
    done = colorlab('train', '--data', photos, '--out', tmp_path / 'run', '--log', 'paper', check=False)
    assert done.returncode == 1 and 'tensorboard or trackio' in done.stderr and not (tmp_path / 'run').exists()

"What a run writes, and what it reads again: frozen weights, networks by their short names, the photos that are shown."

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from PIL import Image
from safetensors.torch import load_file

from colorlab import koala, pretrained
from colorlab.callbacks import EMA, read_samples
from colorlab.checkpoints import load_checkpoint
from colorlab.cnn import CNN
from colorlab.images import BadInput, sample_folder
from colorlab.lab import RGB
from colorlab.learner import network_learner
from colorlab.loaders import photo_loaders
from colorlab.recipes import color_learner, copy_few_photos, preset
from colorlab.runs import Run, Settings, plot_curves
from colorlab.training import new_model, run_bytes, train

SMALL = dict(size=32, bs=8, schedule='constant', sample_epochs=[], progress=False, device='cpu')
KOALA = dict(arch='colorlab.koala:Koala', args=dict(nf=4), init='colorlab.koala:lite0_classifier')
AVERAGE = ['colorlab.callbacks:EMA', dict(decay=0.9)]


@pytest.fixture(scope='module')
def koala_trained(tmp_path_factory):
    "One and two epochs of a network with a frozen classifier of 4.6 million weights, on eight photos."
    folder = tmp_path_factory.mktemp('koala')
    copy_few_photos(folder / 'photos', 8)
    how = KOALA | SMALL | dict(data=str(folder / 'photos'), bs=3, callbacks=[AVERAGE])
    for name, epochs in (('run', 1), ('whole', 2)):
        train(folder / name, epochs=epochs, **how)
    return folder


@pytest.fixture
def koala_run(koala_trained, tmp_path):
    "A copy of the run of one epoch."
    return Run(shutil.copytree(koala_trained / 'run', tmp_path / 'run'))


def test_frozen_weights_come_from_init_again_and_the_run_is_the_same(koala_run, koala_trained):
    train(koala_run.folder, resume=True, epochs=2, progress=False, device='cpu')
    for name in ('model', 'average'):
        a, b = (load_file(run / f'{name}.safetensors') for run in (koala_trained / 'whole', koala_run))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a), name
        assert any(k.startswith('classifier') for k in a)  # a model file is whole
    state = load_checkpoint(koala_run)
    kept = [state['model'], state['callbacks'][0]['kept']]
    learned = {k for k in kept[0] if k.startswith(('encoder', 'decoder'))}
    assert learned and all(learned <= set(weights) for weights in kept)
    assert not any(k.endswith('conv_stem.weight') for weights in kept for k in weights)
    assert set(state['opt']['state']) == set(range(len(learned)))  # and the optimizer remembers nothing else


def test_the_size_of_a_checkpoint_is_known_before(koala_run):
    expected = run_bytes(koala_run.settings())
    checkpoint = koala_run.checkpoints()[-1].stat().st_size
    models = sum(f.stat().st_size for f in koala_run.folder.glob('*.safetensors'))
    assert 0 < checkpoint - expected.checkpoint < 400_000  # names, and the state of random generators
    assert 0 < models - expected.models < 150_000
    assert checkpoint < models / 10


@pytest.mark.parametrize('name, checkpoint, models', [('R0-lab', 557, 186), ('R1', 686, 229), ('R4-koala', 88, 583)])
def test_the_sizes_in_the_docstring(name, checkpoint, models):
    found = run_bytes(Settings(**preset(name), data='.'))
    assert found.checkpoint / 1e6 == pytest.approx(checkpoint, rel=0.01)
    assert found.models / 1e6 == pytest.approx(models, rel=0.01)


def test_another_classifier_is_noticed(koala_run, monkeypatch):
    weights = pretrained.lite0_weights()
    other = weights | {'conv_stem.weight': weights['conv_stem.weight'] + 1}
    monkeypatch.setattr(pretrained, 'lite0_weights', lambda: other)
    with pytest.raises(BadInput, match='classifier.conv_stem.weight: its init gives other weights') as e:
        train(koala_run.folder, resume=True, epochs=2, progress=False, device='cpu')
    assert '\n' not in str(e.value)


def test_a_whole_checkpoint_of_an_older_version_goes_on(koala_run, monkeypatch):
    state = load_checkpoint(koala_run)
    state['model'] = load_file(koala_run / 'model.safetensors')
    state['callbacks'][0]['kept'] = load_file(koala_run / 'average.safetensors')
    del state['frozen']
    torch.save(state, koala_run.checkpoints()[-1])
    monkeypatch.setattr(pretrained, 'lite0_weights', lambda: pytest.fail('not needed'))
    learn = train(koala_run.folder, resume=True, epochs=1, progress=False, device='cpu')
    now = learn.model.state_dict()
    assert all(torch.equal(now[k], v) for k, v in state['model'].items())


def test_an_average_goes_on_beside_layers_that_are_frozen_by_hand(photos, tmp_path):
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), freeze=r'^layers\.0', callbacks=[AVERAGE])
    train(tmp_path / 'whole', epochs=2, **how, **SMALL)
    train(tmp_path / 'cut', epochs=1, **how, **SMALL)
    train(tmp_path / 'cut', resume=True, epochs=2, progress=False, device='cpu')
    assert load_checkpoint(Run(tmp_path / 'cut'))['frozen'] == {}  # no init gives them again
    a, b = (load_file(tmp_path / run / 'average.safetensors') for run in ('whole', 'cut'))
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize('arch', ['unet', 'colorlab.unet:UNet'])
def test_train_and_color_learner_build_the_same_network(photos, tmp_path, arch):
    how = dict(args=dict(nf=4))
    learn = train(tmp_path / 'run', arch=arch, data=str(photos), space='rgb', epochs=1, **how, **SMALL)
    other = color_learner(photo_loaders(photos, RGB, size=32, bs=8), arch, **how)
    assert learn.model_spec == other.model_spec
    assert learn.model_spec['args'] == dict(ni=1, no=3, nf=4)
    again = train(tmp_path / 'run', resume=True, arch='unet', progress=False, device='cpu')  # by either name
    assert again.model_spec == learn.model_spec


def test_counts_of_photos_are_obeyed(photos, tmp_path):
    counts = dict(train=12, val=5, test=4)
    train(tmp_path / 'run', arch='cnn', args=dict(nf=4), data=str(photos), epochs=1, **counts, **SMALL)
    table = pd.read_csv(tmp_path / 'run' / 'manifest.csv')
    assert {name: (table.split == name).sum() for name in counts} == counts
    assert Run(tmp_path / 'run').settings().test == 4


def test_a_named_loss_is_obeyed_or_refused(photos, tmp_path):
    dls = photo_loaders(photos, size=32, bs=8)
    mse = color_learner(dls, 'cnn', loss='mse').loss_func
    assert mse(torch.zeros(4), torch.full((4,), 0.5)) == 0.25
    with pytest.raises(BadInput, match='a Lite has a loss of its own'):
        color_learner(dls, 'lite', loss='mse', init=None)
    with pytest.raises(BadInput, match='a Lite has a loss of its own'):
        train(tmp_path / 'run', arch='lite', loss='l1', data=str(photos), epochs=1, **SMALL)
    assert not (tmp_path / 'run').exists()


def test_init_of_a_network_that_is_built_already_is_refused(photos):
    with pytest.raises(BadInput, match=r'call init\(model\)'):
        network_learner(photo_loaders(photos, size=32, bs=8), koala.Koala(nf=4), init=koala.lite0_classifier)


class Watch(Callback):
    "Counts photos, and notes the checkpoints that it is told of."

    def __init__(self):
        self.seen, self.told = 0, []

    def after_batch(self):
        self.seen += len(self.xb[0]) * self.training

    def epoch_metrics(self):
        return dict(seen=self.seen)

    def after_checkpoint(self, path):
        assert path.exists() and (path.parents[1] / 'model.safetensors').exists()
        self.told.append(path.name)


def test_other_callbacks_have_columns_and_hear_of_checkpoints(photos, tmp_path):
    watch = Watch()
    how = SMALL | dict(arch='cnn', args=dict(nf=4), data=str(photos), checkpoint_seconds=0)
    train(tmp_path / 'run', epochs=2, cbs=[watch], **how)
    n = len(Run(tmp_path / 'run').history())
    assert list(Run(tmp_path / 'run').history().seen) == [watch.seen / n * (i + 1) for i in range(n)]
    assert watch.told == ['epoch-0001.pt', 'epoch-0002.pt']


def test_two_systems_on_two_data_sets_show_the_same_pictures(photos, tmp_path):
    fewer = tmp_path / 'fewer'
    shutil.copytree(photos / 'b', fewer)
    shown = ['scenes/gc-animal-alpaca.jpg', 'scenes/lw-picosdeeuropa.jpg', str(next(photos.rglob('*.jpg')))]
    how = SMALL | dict(args=dict(nf=4), bs=4, sample_epochs=[0, 1], sample_photos=shown)
    for name, arch, data in (('a', 'cnn', photos), ('b', 'autoencoder', fewer)):
        train(tmp_path / name, arch=arch, data=str(data), epochs=2, **how)
    a, b = (read_samples(tmp_path / name) for name in 'ab')
    assert [*a.generated] == [*b.generated] == [0, 1, 2] and len(a.real) == 3
    for kind in ('gray', 'real'):
        for one, other in zip(getattr(a, kind), getattr(b, kind)):
            assert np.abs(np.asarray(one, float) - other).mean() < 3  # what JPEG makes of another row beside it
    first, last = a.generated[0][0], a.generated[2][0]
    assert np.abs(np.asarray(first, float) - last).mean() > 0.5
    with pytest.raises(BadInput, match='there is no such photo to show'):
        train(tmp_path / 'c', arch='cnn', data=str(photos), epochs=1, **how | dict(sample_photos=['no.jpg']))
    assert not (tmp_path / 'c').exists()
    words = np.asarray(Image.open(tmp_path / 'a' / 'samples' / 'epoch-0001.jpg'))[:, :72]
    rows = np.split(words[: len(words) // 3 * 3], 3)
    assert all((row < 100).any() for row in rows)  # gray, generated, real


def test_the_folder_of_the_sample_is_there_for_them():
    assert (sample_folder() / 'scenes' / 'gc-animal-alpaca.jpg').exists() and EMA().kept is None


def test_curves_of_a_gan_show_both_sides():
    "R0.16, R1.8, R2.14: a panel for the generator's total and one for the discriminator, and something in them."
    names = 'train_loss val_loss g_loss val_g_loss adv_loss val_adv_loss d_loss val_d_loss psnr ab_rmse'.split()
    history = pd.DataFrame({name: [3.0, 2.0, 1.0] for name in names} | dict(epoch=[1, 2, 3]))
    baselines = pd.DataFrame(dict(psnr=[20.0], ab_rmse=[18.0]), index=['gray'])
    panels = {ax.get_title(): ax for ax in plot_curves(history, baselines).axes if ax.get_visible()}
    for side in ('generator', 'discriminator'):
        assert any(side in title and ax.lines for title, ax in panels.items())


def test_in_curves_nothing_lies_over_the_data():
    "R0.16, R1.8: a legend in each panel hid the discriminator, and the names of baselines lay on the curve."
    names = 'train_loss val_loss g_loss val_g_loss adv_loss val_adv_loss d_loss val_d_loss psnr ab_rmse'.split()
    history = pd.DataFrame({name: [3.0, 2.0, 1.0] for name in names} | dict(epoch=[1, 2, 3]))
    baselines = pd.DataFrame(dict(psnr=[2.0, 2.5], ab_rmse=[2.0, 1.5]), index=['gray', 'mean-ab'])
    fig = plot_curves(history, baselines)
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ['training photos', 'validation photos']
    fig.canvas.draw()
    for ax in (ax for ax in fig.axes if ax.get_visible()):
        inside = ax.get_window_extent()
        assert not ax.get_legend() and ax.get_title() and ax.get_xlabel() == 'epoch'
        assert not [tick for tick in ax.get_xticks() if 0 < tick < 1 or tick % 1]
        assert not legend.get_window_extent().overlaps(inside)
        assert not [text for text in ax.texts if text.get_window_extent().x0 < inside.x1]
    for ax in fig.axes[3:5]:
        assert [text.get_text() for text in ax.texts] == ['gray', 'mean-ab']
        assert [line.get_linestyle() for line in ax.lines[1:]] == [':', ':']


LITTLE = dict(arch='colorlab.cnn:CNN', args=dict(nf=4)) | SMALL


def short_of_memory(most):
    "A network of which only `most` photos fit into memory; a GPU runs out of it in the forward pass."

    def forward(model, x):
        if x.device.type != 'meta' and model.training and len(x) > most:
            raise torch.OutOfMemoryError('simulated')
        return CNN.forward(model, x)

    return dict(arch='Large', classes=[type('Large', (CNN,), dict(forward=forward))])


def test_a_network_too_large_for_the_memory_is_trained_in_parts(photos, tmp_path):
    how = LITTLE | short_of_memory(4) | dict(data=str(photos), epochs=1)
    learn = train(tmp_path / 'parts', **how | dict(bs=14, train=14))
    assert learn.dls.train.bs == 2 and {int(s['step']) for s in learn.opt.opt.state.values()} == {1}
    learn = train(tmp_path / 'short', **how | dict(bs=16, train=9))  # fewer photos than a batch
    assert learn.dls.train.bs == 3 and {int(s['step']) for s in learn.opt.opt.state.values()} == {1}
    with pytest.raises(BadInput, match='not even one photo'):
        train(tmp_path / 'none', **how | short_of_memory(0) | dict(bs=2, train=2))


def test_a_run_that_knows_nothing_of_newer_settings_goes_on(photos, tmp_path):
    train(tmp_path / 'run', data=str(photos), epochs=1, betas=(0.5, 0.999), **LITTLE)
    file = tmp_path / 'run' / 'settings.json'
    new = json.loads(file.read_text())
    for wrong, words in ((dict(args=dict(nf=8)), 'does not fit its settings'), (dict(version=0), 'another version')):
        file.write_text(json.dumps(new | wrong))
        with pytest.raises(BadInput, match=words):
            train(tmp_path / 'run', resume=True, device='cpu')
    old = {k: v for k, v in new.items() if k not in ('warm_start', 'freeze', 'callbacks', 'betas')}
    file.write_text(json.dumps(old))
    state = load_checkpoint(Run(tmp_path / 'run'))
    del state['callbacks']
    torch.save(state, Run(tmp_path / 'run').checkpoints()[-1])
    learn = train(tmp_path / 'run', resume=True, progress=False, device='cpu')
    assert learn.settings.callbacks == [] and learn.settings.betas is None


def test_a_warm_start_fetches_nothing_that_it_would_only_write_over(photos, tmp_path):
    learn = train(tmp_path / 'run', data=str(photos), epochs=1, betas=(0.5, 0.999), **LITTLE)
    assert learn.opt.hypers[0]['mom'] == 0.5  # Adam's betas are its own where they are given
    named = dict(init='colorlab.koala:lite0_classifier', warm_start=str(tmp_path / 'run'))  # a CNN has no classifier
    filled = new_model(Settings('colorlab.cnn:CNN', '', args=dict(nf=4), **named)).state_dict()
    assert all(torch.equal(filled[name], weight) for name, weight in learn.model.state_dict().items())
    with pytest.raises(BadInput, match='device'):
        train(tmp_path / 'nowhere', data=str(photos), epochs=1, **LITTLE | dict(device='cuda:99'))
    assert not (tmp_path / 'nowhere').exists()

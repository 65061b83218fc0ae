"The learner is a real fastai `Learner`; callbacks need no run; settings are checked; runs of older versions go on."

import json
import shutil
from copy import deepcopy

import matplotlib
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from fastai.callback.schedule import Learner  # with `fit_one_cycle` and `lr_find`
from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
from fastai.learner import load_learner
from safetensors.torch import load_file
from torch import nn

from colorlab.callbacks import AMP, EMA, FreezeLayers, History, SampleGrid, default_precision, depthwise_to_float32
from colorlab.checkpoints import NonFiniteLoss, TerminateOnNonFinite, load_checkpoint
from colorlab.cnn import CNN
from colorlab.images import BadInput
from colorlab.learner import network_learner
from colorlab.loaders import photo_loaders
from colorlab.model_files import RENAMED, load_model, read_model, resolve, save_model
from colorlab.runs import Run, Settings
from colorlab.training import train
from colorlab.unet import TimmUNet

matplotlib.use('Agg')


@pytest.fixture
def dls(photos):
    return photo_loaders(photos, size=64, bs=4)


@pytest.fixture
def learn(dls, tmp_path):
    torch.manual_seed(1)
    learn = network_learner(dls, CNN, args=dict(nf=4), path=tmp_path)
    with learn.no_bar():
        yield learn


def test_everything_that_a_fastai_learner_does(learn, dls, photos, capsys):
    assert isinstance(learn, Learner)
    before = deepcopy(learn.model.state_dict())
    found = learn.lr_find(num_it=8, show_plot=False)
    assert 0 < found.valley < 10
    assert all(torch.equal(before[k], v) for k, v in learn.model.state_dict().items())
    learn.fit_one_cycle(1)
    first = learn.recorder.values[-1]
    learn.fit_one_cycle(1, 1e-3)
    assert learn.recorder.metric_names == ['epoch', 'train_loss', 'valid_loss', 'psnr', 'ab_rmse', 'time']
    assert learn.recorder.values[-1] != first
    learn.recorder.plot_loss()
    learn.dls.show_batch(max_n=2)
    learn.show_results(max_n=2)
    preds, targs = learn.get_preds()
    assert preds.shape == targs.shape == (len(dls.valid.dataset), 2, 64, 64)
    *_, pred = learn.predict(next(photos.rglob('*.jpg')))
    assert pred.shape == (2, 64, 64) and torch.isfinite(pred).all()


def test_metrics_are_those_of_the_history(learn):
    learn.add_cb(History())
    learn.fit(2)
    learn.validate()
    learn.get_preds()
    assert [row['epoch'] for row in learn.history.rows] == [1, 2]
    row = learn.history.rows[-1]
    assert [*learn.validate()] == pytest.approx([row['val_loss'], row['psnr'], row['ab_rmse']], abs=1e-3)


def test_exported_and_loaded_it_predicts_the_same(learn, photos, tmp_path):
    learn.fit(1)
    photo = next(photos.rglob('*.jpg'))
    before = learn.predict(photo)[-1]
    learn.export('whole.pkl')
    again = load_learner(tmp_path / 'whole.pkl')
    with again.no_bar():
        assert torch.equal(again.predict(photo)[-1], before)
    assert again.model_spec == learn.model_spec


def test_what_it_knows_of_its_model_is_enough_for_a_file(learn, tmp_path):
    assert learn.model_spec == dict(arch='colorlab.cnn:CNN', args=dict(ni=1, no=2, nf=4), space='lab', size=64)
    save_model(learn.model, tmp_path / 'm.safetensors', **learn.model_spec)
    model, header = load_model(tmp_path / 'm.safetensors')
    x = torch.zeros(1, 1, 16, 16)
    assert torch.equal(model(x), learn.model.eval()(x)) and header['space'] == 'lab'


def test_an_instance_is_described_if_it_can_be(dls, tmp_path):
    assert network_learner(dls, CNN()).model_spec['args'] == dict(ni=1, no=2)
    assert network_learner(dls, CNN(nf=4), args=dict(nf=4)).model_spec['args'] == dict(nf=4)
    unknown = network_learner(dls, CNN(nf=4))
    with pytest.raises(BadInput, match='its arguments are not known'):
        save_model(unknown.model, tmp_path / 'm.safetensors', **unknown.model_spec)


@pytest.mark.parametrize('precision', ['to_fp16', 'to_bf16'])
def test_fastai_s_half_precision(learn, precision, recwarn):
    getattr(learn, precision)()
    learn.fit(1)
    assert learn.recorder.values[-1][0] > 0


def test_callbacks_of_fastai(learn, tmp_path):
    learn.fit(
        3, cbs=[SaveModelCallback(monitor='psnr'), EarlyStoppingCallback(monitor='psnr', patience=1, min_delta=99)]
    )
    assert len(learn.recorder.values) == 2 and (tmp_path / 'models' / 'model.pth').exists()


def test_our_callbacks_need_no_run(dls, tmp_path):
    torch.manual_seed(1)
    cbs = [History(), SampleGrid(), EMA(), FreezeLayers(r'^layers\.0\.'), TerminateOnNonFinite(), AMP('bf16')]
    learn = Learner(dls, CNN(nf=4), F.l1_loss, lr=1e-3, cbs=cbs, path=tmp_path)
    before = deepcopy(learn.model.state_dict())
    with learn.no_bar():
        learn.lr_find(num_it=6, show_plot=False)
        assert not learn.history.rows and learn.ema.steps == 0
        learn.fit_one_cycle(1)
        learn.fit_one_cycle(1)
        learn.get_preds()
    assert [row['epoch'] for row in learn.history.rows] == [1, 2] and learn.ema.steps == 2 * len(dls.train)
    assert [f.name for f in sorted((tmp_path / 'samples').iterdir())] == ['epoch-0001.jpg', 'epoch-0002.jpg']
    now = learn.model.state_dict()
    assert all(torch.equal(now[k], before[k]) == k.startswith('layers.0.') for k in now)
    assert not torch.equal(now['layers.8.weight'], learn.ema.kept.state_dict()['layers.8.weight'])


def test_a_loss_that_is_no_number_stops_a_fit_but_not_lr_find(dls, tmp_path):
    learn = Learner(dls, CNN(nf=4), lambda p, y: F.l1_loss(p, y) / 0, cbs=TerminateOnNonFinite(), path=tmp_path)
    with learn.no_bar():
        learn.lr_find(num_it=6, show_plot=False)
        with pytest.raises(NonFiniteLoss, match='the loss is inf in epoch 1, batch 1'):
            learn.fit(1)


def test_the_encoder_learns_more_slowly(dls, tmp_path):
    learn = network_learner(
        dls, 'colorlab.unet:TimmUNet', init='colorlab.unet:lite0_encoder', encoder_lr_mult=0.1, path=tmp_path
    )
    assert isinstance(learn.model, TimmUNet)
    learn.create_opt()
    for rates in (3e-3, [3e-4, 3e-3], slice(3e-4, 3e-3)):
        learn.opt.set_hyper('lr', rates)
        assert [h['lr'] for h in learn.opt.hypers] == pytest.approx([3e-4, 3e-3])


def test_a_schedule_keeps_the_distance_of_the_groups(dls, tmp_path):
    class Two(CNN):
        def param_groups(self):
            weights = list(self.parameters())
            return [weights[:4], weights[4:]]

    learn = network_learner(dls, Two, args=dict(nf=4), encoder_lr_mult=0.1, lr=1e-2, path=tmp_path)
    with learn.no_bar():
        learn.fit_one_cycle(1)
    low, high = (h['lr'] for h in learn.opt.hypers)
    assert low / high == pytest.approx(0.1)


@pytest.mark.parametrize('model', ['unet', 'os:system', nn.ReLU, 'colorlab.learner:network_learner'])
def test_what_is_no_colorizer_is_refused(dls, model):
    with pytest.raises(BadInput) as e:
        network_learner(dls, model)
    assert '\n' not in str(e.value)


def test_depthwise_layers_are_wrapped_and_keep_their_names():
    model = TimmUNet()
    names, classes = list(model.state_dict()), [type(m) for m in model.modules()]
    depthwise_to_float32(model)
    assert list(model.state_dict()) == names and [type(m) for m in model.modules()] == classes
    copied = deepcopy(model)
    wrapped = [m for m in copied.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert wrapped and all(m.forward.args[0].__self__ is m for m in wrapped)


def test_default_precision(monkeypatch):
    for capability, precision in (((8, 0), 'bf16'), ((7, 5), 'fp16')):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device=None: capability)
        assert default_precision('cuda') == precision
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    for found, used, precision in (
        ({}, 'AVX512', 'float32'),
        (dict(avx512_bf16=True), 'AVX512', 'bf16'),
        (dict(amx_bf16=True), 'AVX512_VNNI', 'bf16'),
        (dict(avx512_bf16=True), 'AVX2', 'float32'),  # torch may be told to use less than there is
    ):
        monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: found, raising=False)
        monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: used)
        assert default_precision('cpu') == precision, (found, used)
    assert default_precision('mps') == 'float32'
    monkeypatch.delattr(torch.cpu, 'get_capabilities')  # as before torch 2.11
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX512')
    for found, precision in ((True, 'bf16'), (False, 'float32')):
        monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: found, raising=False)
        assert default_precision('cpu') == precision


def test_slow_bf16_is_said_in_one_line(dls, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr('colorlab.callbacks.default_precision', lambda device: 'float32')
    learn = Learner(dls, CNN(nf=4), F.l1_loss, cbs=AMP('bf16'), path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
        learn.get_preds()
    out = [line for line in capsys.readouterr().out.splitlines() if 'bf16' in line]
    assert out == ['this processor does not compute bf16: it will take about ten times as long as float32']


@pytest.mark.parametrize(
    'wrong, words',
    [
        (dict(lr=-1), 'lr is -1: give a number above 0'),
        (dict(lr=0), 'above 0'),
        (dict(lr=float('nan')), 'lr is nan'),
        (dict(lr='fast'), 'lr is fast'),
        (dict(wd=-0.1), 'wd is -0.1: give a number of 0 or more'),
        (dict(hflip=5), 'hflip is 5: give a number from 0 to 1'),
        (dict(vflip=-0.5), 'vflip'),
        (dict(encoder_lr_mult=-1), 'encoder_lr_mult'),
        (dict(betas=[0.9]), 'give two numbers'),
        (dict(betas=[0.9, 1.0]), 'below 1'),
        (dict(betas=0.9), 'give two numbers'),
        (dict(train=0), 'train is 0'),
        (dict(train=1.5), 'a share up to 1.0, or a whole number'),
        (dict(train=-3), 'train is -3'),
        (dict(val=0), 'val is 0: give a whole number of 1 or more'),
        (dict(test=-1), 'test is -1'),
        (dict(loss='l3'), 'loss "l3" is not known'),
        (dict(sample_photos='a.jpg'), 'sample_photos is a.jpg: give a list of files'),
        (dict(epochs=2.5), 'epochs is 2.5: give a whole number'),
        (dict(bs=True), 'bs is True'),
        (dict(size=50), 'multiple of 8'),
        (dict(size='64'), 'size is 64'),
        (dict(margin=0.9), 'margin is 0.9: give a number of 1 or more'),
        (dict(sample_epochs=['1']), 'give a list of whole numbers'),
        (dict(sample_epochs=3), 'give a list of whole numbers'),
        (dict(seed=-1), 'seed is -1: give a whole number from 0'),
        (dict(channels_last='yes'), 'give true or false'),
        (dict(space='hsv'), 'choose from lab'),
        (dict(space=['lab']), 'choose from lab'),
        (dict(args=[1]), 'args is'),
        (dict(args=dict(nf=object())), 'cannot be written down'),
        (dict(callbacks={}), 'callbacks is'),
        (dict(arch=None), 'arch is None: give text'),
        (dict(freeze=3), 'freeze is 3: give text'),
    ],
)
def test_settings_that_cannot_be(wrong, words):
    with pytest.raises(BadInput, match=words) as e:
        Settings(**dict(arch='colorlab.cnn:CNN', data='.') | wrong)
    assert '\n' not in str(e.value)


def test_settings_are_what_a_file_gives_back(tmp_path):
    s = Settings(
        'colorlab.cnn:CNN', tmp_path, lr=pd.Series([0.5]).iloc[0], betas=(0.5, 0.9), warm_start=tmp_path / 'run'
    )
    assert (s.data, s.lr, s.betas, s.warm_start) == (str(tmp_path), 0.5, [0.5, 0.9], str(tmp_path / 'run'))
    json.dumps(vars(s))


def test_a_model_file_with_half_a_header_is_refused(tmp_path):
    from safetensors.torch import save_file

    header = dict(arch='colorlab.cnn:CNN', space='lab', version=1, more=1)
    save_file(CNN(nf=4).state_dict(), tmp_path / 'm.safetensors', metadata={'colorlab': json.dumps(header)})
    with pytest.raises(BadInput, match='was not written by this version'):
        read_model(tmp_path / 'm.safetensors')


def test_old_addresses_lead_to_what_is_there_now():
    for old, new in RENAMED.items():
        assert resolve(old) is resolve(new) is not None, old


OLD_CALLBACKS = [
    ['colorlab.lite:Hinting', dict(share=0.5)],
    ['colorlab.lite:Aging', dict(share=0.5)],
    ['colorlab.lite:Rebalance', {}],
    ['colorlab.learner:Average', dict(decay=0.9)],
]
NEW_CALLBACKS = [[RENAMED.get(name, name), args] for name, args in OLD_CALLBACKS]


def as_old(run):
    "Make of a run's folder what the first version would have left."
    stored = json.loads((run / 'settings.json').read_text())
    stored['slow'] = stored.pop('encoder_lr_mult')
    stored['callbacks'] = OLD_CALLBACKS
    (run / 'settings.json').write_text(json.dumps(stored, indent=2))
    (run / 'baselines.csv').rename(run / 'floors.csv')


def test_a_run_of_the_first_version_resumes_exactly(photos, tmp_path):
    how = dict(arch='colorlab.lite:Lite', data=str(photos), size=32, bs=8, schedule='constant', sample_epochs=[])
    how |= dict(encoder_lr_mult=0.2, callbacks=NEW_CALLBACKS, precision='bf16', channels_last=True)
    train(tmp_path / 'old', epochs=1, progress=False, device='cpu', **how)
    shutil.copytree(tmp_path / 'old', tmp_path / 'new')
    as_old(tmp_path / 'old')
    for name in ('old', 'new'):
        train(tmp_path / name, resume=True, epochs=2, progress=False, device='cpu', callbacks=NEW_CALLBACKS)
    assert Run(tmp_path / 'old').settings().encoder_lr_mult == 0.2
    assert Run(tmp_path / 'old').baselines().equals(Run(tmp_path / 'new').baselines())
    for name in ('model', 'average'):
        a, b = (load_file(tmp_path / run / f'{name}.safetensors') for run in ('old', 'new'))
        assert all(torch.equal(a[k], b[k]) for k in a), name


def test_fine_tuning_goes_on_from_a_run_of_the_first_version(photos, tmp_path):
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), size=64, bs=4, epochs=1, progress=False)
    train(tmp_path / 'old', device='cpu', **how)
    as_old(tmp_path / 'old')
    learn = train(tmp_path / 'new', warm_start=tmp_path / 'old', device='cpu', **how | dict(lr=1e-9))
    old = load_file(tmp_path / 'old' / 'model.safetensors')
    assert torch.allclose(learn.model.state_dict()['layers.8.weight'], old['layers.8.weight'], atol=1e-6)


def test_what_train_returns_can_be_used_like_any_learner(photos, tmp_path):
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), size=64, bs=4, epochs=1, progress=False)
    learn = train(tmp_path / 'run', device='cpu', **how)
    assert learn.model_spec == dict(arch='colorlab.cnn:CNN', args=dict(ni=1, no=2, nf=4), space='lab', size=64)
    assert learn.get_preds()[0].shape[1:] == (2, 64, 64)
    learn.export('learner.pkl')
    assert (tmp_path / 'run' / 'learner.pkl').exists()


def test_training_leaves_the_memory_of_the_process_alone(photos, tmp_path, monkeypatch):
    def never():
        raise AssertionError('only the command may')

    monkeypatch.setattr('colorlab.callbacks.tune_malloc', never)
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), size=64, bs=4, epochs=1, progress=False)
    train(tmp_path / 'run', device='cpu', **how)
    assert load_checkpoint(Run(tmp_path / 'run'))['epochs'] == 1


def test_a_log_file_gets_one_line_an_epoch(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('TQDM_DISABLE', raising=False)
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), size=64, bs=4, epochs=2)
    train(tmp_path / 'run', device='cpu', **how)
    out, err = capsys.readouterr()
    assert [line.split(',')[0] for line in out.splitlines() if line.startswith('epoch')] == ['epoch 1/2', 'epoch 2/2']
    assert 'batch' not in err and 'learning' not in err

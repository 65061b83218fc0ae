"""The reports' systems as built and trained, compared with `report_facts.toml`, which is typed in from the reports."""

import re
import time
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from colorlab.images import BadInput
from colorlab.lab import SPACES
from colorlab.model_files import create_model, load_model
from colorlab.models import predict
from colorlab.presets import (
    PRESETS,
    REPORT_GENERATORS,
    REPORT_GRIDS,
    assumptions,
    preset,
    preset_values,
    report_generator,
)
from colorlab.recipes import copy_few_photos, smoke_config
from colorlab.runs import Settings
from colorlab.training import train
from colorlab.unet import Residual

FACTS = tomllib.loads((Path(__file__).parent / 'report_facts.toml').read_text())
GRIDS = FACTS.pop('grids')
GANS = [name for name in PRESETS if 'callbacks' in PRESETS[name].settings]


def facts(name):
    "What a report says about a system: what a key speaks of -> value."
    return {key.split(' ', 1)[1]: value for key, value in FACTS[name].items()}


def test_every_preset_is_in_the_table_and_no_other():
    assert set(FACTS) == set(PRESETS)
    assert all(re.match(r'R\d\.\d+ ', key) for table in FACTS.values() for key in table)


# --- the networks as built ---


def rules_of(wanted):
    "What the adversary of a system is told."
    return next((options for _, options in wanted.get('callbacks', [])), None)


def on_meta(arch, args):
    with torch.device('meta'):
        return create_model(arch, args)


def zeros(*shape):
    return torch.zeros(*shape, device='meta')


def conv_line(m, before):
    "A convolution or a linear layer, as the table writes it."
    if isinstance(m, nn.Linear):
        return f'linear {m.in_features}->{m.out_features}'
    ni = m.in_channels if before in (None, m.in_channels) else f'{before}+{m.in_channels - before}'
    up = isinstance(m, nn.ConvTranspose2d)
    kind = f'up {m.kernel_size[0]}x{m.kernel_size[1]} x' if up else f'conv {m.kernel_size[0]}x{m.kernel_size[1]} /'
    bias = '' if m.bias is not None else ' no bias'
    return f'{kind}{m.stride[0]} {ni}->{m.out_channels}{bias}'


def other_word(m):
    "Any other layer, as the table writes it; empty for what changes nothing."
    if isinstance(m, nn.LeakyReLU):
        return f'LeakyReLU {m.negative_slope:g}' if m.negative_slope else 'ReLU'
    words = {nn.BatchNorm2d: 'BatchNorm', nn.InstanceNorm2d: 'InstanceNorm', nn.ReLU: 'ReLU', nn.Tanh: 'Tanh'}
    words |= {nn.MaxPool2d: 'max-pool', nn.ZeroPad2d: 'zero-pad', nn.AdaptiveAvgPool2d: 'average'}
    if isinstance(m, nn.ZeroPad2d) and not any(m.padding):
        return ''
    if isinstance(m, nn.Dropout):
        return f'Dropout {m.p:g}'
    if isinstance(m, nn.Upsample):
        return f'upsample {m.scale_factor:g}'
    return words.get(type(m), '')


def layers(model, *inputs, leave_out=()):
    "What a network does, a line for each convolution, in the order in which it works; and its smallest side."
    lines, ahead, sides, before = [], [], [], None

    def seen(m, given, out):
        nonlocal before
        word = other_word(m)
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            lines.append(', '.join([*ahead, conv_line(m, None if isinstance(m, nn.Linear) else before)]))
            ahead.clear()
            before = out.shape[1]
            sides.append(out.shape[-1])
        elif word in ('max-pool', 'zero-pad', 'average') or word.startswith('upsample'):
            ahead.append(word)
        elif word:
            lines[-1] += f' | {word}'

    passed_over = {m for name in leave_out for m in model.get_submodule(name).modules()}
    leaves = [m for m in model.modules() if not list(m.children()) and m not in passed_over]
    hooks = [m.register_forward_hook(seen) for m in leaves]
    out = model(*inputs)
    for hook in hooks:
        hook.remove()
    if ahead:
        lines[-1] += ', ' + ', '.join(ahead)
    return lines, min(sides), tuple(out.shape[1:])


def written_out(lines):
    "The table's lines, each repeated as often as it says."
    for line in lines:
        n, _, rest = line.partition(' x ')
        yield from [rest] * int(n) if n.isdigit() else [line]


def matches(line, pattern):
    "Whether a layer is as the table says; of a bias only what the table mentions."
    return fnmatchcase(line if 'no bias' in pattern else line.replace(' no bias', ''), pattern)


def receptive_field(lines):
    side = 1
    for line in reversed(lines):
        kernel, stride = (int(n) for n in re.search(r'conv (\d+)x\d+ /(\d)', line).groups())
        side = side * stride + kernel - stride
    return side


def check_layers(name, what, lines):
    for aspect, wanted in facts(name).items():
        if aspect == what:
            patterns = list(written_out(wanted))
            assert len(lines) == len(patterns), lines
            for line, pattern in zip(lines, patterns):
                assert matches(line, pattern), (line, pattern)
        elif aspect == f'{what} all but last':
            assert all(matches(line, wanted) for line in lines[:-1])
        elif aspect in (f'{what} first', f'{what} last'):
            assert matches(lines[0 if aspect.endswith('first') else -1], wanted), lines
        elif aspect == f'{what} has':
            assert all(any(part in line for line in lines) for part in wanted), lines
        elif aspect == f'{what} has not':
            assert not any(part in line for line in lines for part in wanted), lines


def millions(model):
    return sum(p.numel() for p in model.parameters()) / 1e6


@pytest.mark.parametrize('name', PRESETS)
def test_the_generator_is_the_reports(name):
    wanted = preset(name)
    told = facts(name)
    model = on_meta(wanted['arch'], wanted['args'])
    x = zeros(2, wanted['args']['ni'], wanted['size'], wanted['size'])
    classifier = ['classifier'] if 'classifier' in told else []
    lines, smallest, _ = layers(model, x, leave_out=classifier)
    check_layers(name, 'generator', lines)
    assert told.get('bottleneck', smallest) == smallest
    assert told.get('convolutions', len(lines)) == len(lines)
    assert millions(model) == pytest.approx(told.get('generator millions', millions(model)), rel=0.005)
    blocks = sum(isinstance(m, Residual) for m in model.modules())
    assert told.get('residual blocks', blocks) == blocks
    assert wanted['args'].get('classifier') == told.get('classifier')
    for space in told.get('spaces', []):
        assert preset(name, space)['args']['no'] == SPACES[space].ny


@pytest.mark.parametrize('name', GANS)
def test_the_discriminator_is_the_reports(name):
    wanted, told = preset(name), facts(name)
    rules, space, size = rules_of(wanted), SPACES[wanted['space']], wanted['size']
    model = on_meta(rules['disc'], rules['args'])
    lines, _, score = layers(model, zeros(2, space.nx, size, size), zeros(2, space.ny, size, size))
    check_layers(name, 'discriminator', lines)
    assert list(score) == told.get('map', list(score))
    if 'patch' in told:
        assert receptive_field(lines) == told['patch']
    assert millions(model) == pytest.approx(told.get('discriminator millions', millions(model)), rel=0.005)
    if 'discriminator encoder' in told:
        assert model.encoder.default_cfg['architecture'] == told['discriminator encoder']
    assert bool(rules.get('init')) == told.get('pretrained', False)


def test_the_generator_of_pix2pix_has_54_million_parameters():
    how = report_generator('r1-unet', ni=3, no=3, bare=[0, -1])  # R1 has a norm more than pix2pix
    assert millions(on_meta(how['arch'], how['args'])) == 54.414531  # as in its authors' code


@pytest.mark.parametrize('name', REPORT_GENERATORS)
def test_a_generator_takes_every_space_and_any_size(name):
    for space, channels in (('lab', (1, 2)), ('rgb', (1, 3)), ('rgb3', (3, 3))):
        how = report_generator(name, space)
        assert (how['args']['ni'], how['args']['no']) == channels
        model = on_meta(how['arch'], how['args']).eval()
        assert model(zeros(1, channels[0], 1, 77)).shape == (1, channels[1], 1, 77)


# --- the settings ---

COVERED = {  # what the table calls it -> the settings that follow from it
    'G loss': ['loss', 'adversary loss', 'adversary l1_weight'],
    'labels': ['adversary real', 'adversary fake'],
    'order': ['adversary g_first'],
    'optimizer': ['wd', 'adversary disc'],
    'spaces': ['space'],
}


@pytest.mark.parametrize('name', PRESETS)
def test_the_settings_are_the_reports(name):
    values, told = preset_values(name), facts(name)
    for key, value in values.items():
        value = list(value) if isinstance(value, tuple) else value
        assert told.get(key, value) == value, key
    for what in ('bs', 'epochs'):
        low, high = told.get(f'{what} between', (1, 1000))
        assert low <= values[what] <= high
    assert values['betas'][0] == told.get('first beta', values['betas'][0])
    settings = Settings(data='', **preset(name))
    assert settings.sample_epochs == told.get('sample_epochs', settings.sample_epochs)
    for key, wanted in FACTS[name].items():
        if ' on ' in key:
            data = key.split(' on ')[1]
            made = preset(name, data=data)
            assert {what: made[what] for what in wanted} == wanted and made['data'] == data, key


@pytest.mark.parametrize('name', PRESETS)
def test_what_the_report_does_not_say_is_said_to_be_assumed(name):
    told = facts(name)
    known = {setting for what in told for setting in COVERED.get(what, [what])}
    if any(what.startswith(('discriminator', 'map', 'patch')) for what in told):
        known.add('adversary disc')
    if name in GANS and 'weight' not in told['G loss']:
        known.discard('adversary l1_weight')
    known |= {'loss'} if any(what == 'loss' for what in told) else set()
    known |= {'size'} if '256 pixels' in REPORT_GENERATORS[PRESETS[name].generator].assumed else set()
    ours = {key for keys in PRESETS[name].assumed for key in keys.split(', ')}
    assert not set(preset_values(name)) - known - ours
    assert all(line and '\n' not in line for line in assumptions(name))


@pytest.mark.parametrize('row', GRIDS)
def test_the_grids_are_the_reports(row):
    told, arms = GRIDS[row], list(REPORT_GRIDS[row].values())
    assert {arm.settings['data'] for arm in arms} == {told['data']}
    assert [arm.preset for arm in arms] == told['presets']
    assert [arm.settings.get('train') for arm in arms] == told.get('photos', [a.settings.get('train') for a in arms])
    assert [arm.settings['epochs'] for arm in arms] == told.get(
        'epochs', [told.get('shown_epochs', [0])[-1]] * len(arms)
    )
    assert all(arm.shown_epochs == told.get('shown_epochs', arm.shown_epochs) for arm in arms)
    assert [arm.settings['space'] for arm in arms] == told.get('spaces', [arm.settings['space'] for arm in arms])
    if 'warm' in told:
        assert [i for i, arm in enumerate(arms) if arm.start] == [told['warm']]
        assert REPORT_GRIDS[row][arms[told['warm']].start].preset == 'R4-unet'


# --- one traced step ---


def probability(score):
    return 1 / (1 + torch.exp(-score.double()))


# the losses of the reports, written down here a second time
JUDGED = {
    'BCE': lambda s, label: nn.BCELoss()(probability(s), torch.full_like(s, label).double()),
    'LSGAN': lambda s, label: ((s.double() - label) ** 2).mean(),
    '-log(p+eps)': lambda s, label: -torch.log(probability(s if label == 1 else -s) + 0.01).mean(),
    'log(1-p+eps)': lambda s, label: torch.log(1 - probability(s) + 0.01).mean(),
}
PIXELS = dict(MSE=lambda a, b: ((a - b) ** 2).mean(), L1=lambda a, b: (a - b).abs().mean())


class Trace(Callback):
    "Who steps when, and what the generator is told to lower."

    order, run_valid = 40, False  # after the adversary

    def before_fit(self):
        self.steps, self.scores, self.totals, self.hooks = [], [], [], []
        nets = dict(G=self.model)
        if hasattr(self.learn, 'adversary'):
            nets['D'] = self.adversary.disc
            self.hooks.append(nets['D'].register_forward_hook(lambda m, given, score: self.scores.append(score)))
        who = {id(p): name for name, net in nets.items() for p in net.parameters()}

        def stepping(opt, *_):
            self.steps.append((who[id(opt.param_groups[0]['params'][0])], opt))

        self.hooks.append(register_optimizer_step_pre_hook(stepping))

    def before_batch(self):
        self.scores.clear()

    def after_backward(self):
        self.totals.append((self.loss_grad.item(), self.pred.detach().double(), self.yb[0].double()))

    def after_fit(self):
        for hook in self.hooks:
            hook.remove()


class AfterBoth(Callback):
    "The scores, the labels and the losses of a batch, when both have stepped."

    order, run_valid = 50, False

    def before_fit(self):
        self.batches = []

    def after_batch(self):
        stats = {key: values[-1].item() for key, values in self.adversary.stats.items() if values}
        self.batches.append(([score.detach() for score in self.trace.scores], self.adversary.label, stats))


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    return copy_few_photos(tmp_path_factory.mktemp('few') / 'photos', 8)


@pytest.mark.parametrize('name', PRESETS)
def test_a_step_of_the_training_is_the_reports(name, few, tmp_path):
    levels = preset(name)['args'].get('levels', 0)
    wanted = preset(name, size=max(64, 2**levels))
    small = smoke_config(wanted) | dict(lr=wanted['lr'], bs=2, train=4, val=1, epochs=1, sample_epochs=[])
    trace, both = Trace(), AfterBoth()
    gan = name in GANS
    cbs = [trace, both] if gan else [trace]
    train(tmp_path / 'run', data=few, device='cpu', progress=False, checkpoint_seconds=600, cbs=cbs, **small)
    opt = next(opt for who, opt in trace.steps if who == 'G')
    assert type(opt) in (torch.optim.Adam, torch.optim.AdamW) and opt.param_groups[0]['weight_decay'] == 0
    assert list(opt.param_groups[0]['betas']) == list(wanted['betas'])
    assert opt.param_groups[0]['lr'] == wanted['lr']
    if gan:
        check_game(name, trace, both, rules_of(wanted))
    else:
        pixel = PIXELS[facts(name)['loss'].upper()]
        assert [who for who, _ in trace.steps] == ['G', 'G']
        for total, pred, y in trace.totals:
            assert total == pytest.approx(pixel(pred, y).item(), rel=1e-4)


def check_game(name, trace, both, rules):
    "Order, labels and losses of a traced training with an adversary."
    told = facts(name)
    order = told.get('order', ['D', 'G'])
    assert [who for who, _ in trace.steps] == order * 2
    opt = next(opt for who, opt in trace.steps if who == 'D')
    assert type(opt) is torch.optim.Adam and opt.param_groups[0]['weight_decay'] == 0
    assert list(opt.param_groups[0]['betas']) == list(preset_values(name)['adversary betas'])
    assert opt.param_groups[0]['lr'] == pytest.approx(preset_values(name)['adversary lr'])
    g, d, labels = told['G loss'], told['D loss'].removeprefix('mean of two '), told['labels']
    weight = g.get('weight', 100)  # λ of pix2pix, where the report is silent
    for (total, pred, y), (scores, label, stats) in zip(trace.totals, both.batches, strict=True):
        assert labels['real'][0] <= label.real <= labels['real'][1]
        assert labels['fake'][0] <= label.fake <= labels['fake'][1]
        asked = scores if order == ['G', 'D'] else [scores[2], *scores[:2]]  # by G, then by D of true and made
        adv = JUDGED[g['adversarial']](asked[0], label.real).item()
        halves = JUDGED[d](asked[1], label.real) + JUDGED[d](asked[2], label.fake)
        assert stats['adv_loss'] == pytest.approx(adv, rel=1e-3, abs=1e-5)
        assert stats['d_loss'] == pytest.approx(halves.item() / 2, rel=1e-3, abs=1e-5)
        whole = weight * PIXELS[g['pixel']](pred, y).item() + adv
        assert total == pytest.approx(whole, rel=1e-3) and stats['g_loss'] == pytest.approx(whole, rel=1e-3)
    drawn = {label.real for _, label, _ in both.batches}
    assert len(drawn) == (1 if labels['real'][0] == labels['real'][1] else len(both.batches))  # one a batch


# --- what cannot be, and what was ---


@pytest.mark.parametrize('name', ['r0-pix2pix', 'r1-unet', 'r2-unet', 'r3-unet', 'r4-unet'])
def test_training_at_an_impossible_size_is_refused_in_one_line(name):
    how = report_generator(name)
    with pytest.raises(BadInput, match='multiple of') as e:
        on_meta(how['arch'], how['args'])(zeros(2, how['args']['ni'], 72, 72))
    assert '\n' not in str(e.value)


def small_r1(few, **changes):
    wanted = smoke_config(preset('R1')) | dict(size=256, bs=2, train=4, val=1, sample_epochs=[], epochs=1)
    return dict(data=few, device='cpu', progress=False, checkpoint_seconds=0) | wanted | changes


def test_batch_norm_at_one_pixel_wants_two_photos_in_a_batch(few, tmp_path):
    "R1.3, R2.5: known before a folder is made, and said where memory has left one photo a time."
    with pytest.raises(BadInput, match='needs more than one photo a batch') as e:
        train(tmp_path / 'never', **small_r1(few, bs=1))
    assert '\n' not in str(e.value) and not (tmp_path / 'never').exists()
    how = report_generator('r2-unet', nf=4)
    model = create_model(how['arch'], how['args'])
    with pytest.raises(BadInput, match='fewer channels'):
        model(torch.zeros(1, 1, 128, 128))
    assert model.eval()(torch.zeros(1, 1, 128, 128)).isfinite().all()


def test_runs_from_before_the_norms_go_on_as_they_were(few, tmp_path):
    "A run names every argument of its networks: the U-Net without a norm at the deepest level, R0's CNN with one less."
    from colorlab.gan import DeepCNN
    from colorlab.presets import PIX2PIX
    from colorlab.unet import UNet

    old = UNet(**PIX2PIX | dict(nf=4, levels=7, ni=1, no=2))
    names = set(old.state_dict())
    assert 'downs.6.0.bias' in names and not any(name.startswith('downs.6.1') for name in names)
    assert 'layers.0.0.bias' in DeepCNN(ndf=4, size=32).state_dict()
    before = small_r1(few, schedule='constant')
    before['args'] = PIX2PIX | dict(nf=4, levels=8, ni=1, no=2)
    before['callbacks'] = [['colorlab.gan:Adversary', dict(disc='colorlab.gan:DeepCNN', args=dict(ndf=4))]]
    train(tmp_path / 'old', **before)
    told = tmp_path / 'old' / 'history.csv'
    assert len(told.read_text().splitlines()) == 2
    learn = train(tmp_path / 'old', resume=True, epochs=2, device='cpu', progress=False)
    assert set(learn.model.state_dict()) == {n for n in UNet(**before['args']).state_dict()}
    assert len(told.read_text().splitlines()) == 3


@pytest.fixture
def offline(tmp_path, monkeypatch):
    "A hub that nobody answers for, and an empty cache; how long `huggingface_hub` slept between its attempts."
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    naps = []
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', 'http://127.0.0.1:9/{repo_id}/{revision}/{filename}')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr(_http, 'time', SimpleNamespace(**vars(time) | dict(sleep=naps.append)))
    return naps


@pytest.mark.parametrize('name', ['resnet18', 'vgg16'])
def test_without_a_network_pretrained_weights_are_refused_at_once(name, offline):
    "It took 45 seconds of attempts until the line came."
    from colorlab.koala import pretrained_timm

    words = f'^the weights of {name} cannot be downloaded .*: check the network, or use'
    with pytest.raises(BadInput, match=words) as e:
        pretrained_timm(name, 'another network')
    assert '\n' not in str(e.value) and sum(offline) == 0


def test_a_pretrained_judge_that_cannot_be_had_is_said_before_a_folder_is_made(few, tmp_path, offline):
    "R0.7 without a network."
    how = preset('R0-lab-resnet', bs=2, train=4, val=1, epochs=1)
    with pytest.raises(BadInput, match='resnet18 cannot be downloaded') as e:
        train(tmp_path / 'never', data=few, device='cpu', progress=False, **how)
    assert '\n' not in str(e.value) and not (tmp_path / 'never').exists()


def test_the_shipped_model_still_colors_as_it_did():
    "What the shipped weights gave when they were made."
    from colorlab.backends import find_model

    model, _ = load_model(find_model('lite'))
    x = torch.linspace(-1, 1, 64).expand(1, 1, 48, 64)
    with torch.no_grad():
        y = predict(model.float(), x)
    before = [0.0123, 0.0188, 0.0131, -0.0074, 0.0014, 0.121, 0.0014, 0.0814]
    assert y[0, :, ::24, ::32].flatten().tolist() == pytest.approx(before, abs=2e-3)


def test_lite_with_everything_that_takes_part_resumes_exactly(photos, tmp_path):
    "Hints, aging, rare colors and averaged weights: one epoch and one more are two."
    from safetensors.torch import load_file

    from colorlab.lite import lite_recipe

    how = lite_recipe(data=str(photos), size=64, bs=4, schedule='constant', init=None, sample_epochs=[])
    train(tmp_path / 'whole', progress=False, device='cpu', **how | dict(epochs=2))
    train(tmp_path / 'twice', progress=False, device='cpu', **how | dict(epochs=1))
    train(tmp_path / 'twice', resume=True, progress=False, device='cpu', epochs=2)
    for name in ('model', 'average'):
        a, b = (load_file(tmp_path / run / f'{name}.safetensors') for run in ('whole', 'twice'))
        assert all(torch.equal(a[k], b[k]) for k in a), name
    assert not torch.equal(load_file(tmp_path / 'whole' / 'model.safetensors')['ab.weight'], a['ab.weight'])

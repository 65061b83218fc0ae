"The reports' generators, by name: shapes, sizes, and whether they learn."

import pytest
import torch
import torch.nn.functional as F

from colorlab.images import BadInput
from colorlab.models import create_model, load_model, predict
from colorlab.training import train
from colorlab.unet import REPORT_GENERATORS, report_generator

MILLIONS = {
    'r0-lab-gan': 1.670,
    'r0-pix2pix': 54.405,
    'r1-unet': 54.410,
    'r2-unet': 41.825,
    'r2-autoencoder': 0.195,
    'r2-resnet': 7.832,
    'r3-unet': 67.518,
    'r4-koala': 145.725,
    'r4-unet': 31.384,
}
SMALLER = {'colorlab.koala:Koala': dict(nf=8, classifier='tf_efficientnet_lite0')}


def on_meta(name, **args):
    how = report_generator(name, **args)
    with torch.device('meta'):
        return create_model(how['arch'], how['args']), how


def test_every_generator_of_the_reports_is_named():
    assert {r.row for r in REPORT_GENERATORS.values()} == {
        'R0.5',
        'R0.11',
        'R1.3',
        'R2.5',
        'R2.6',
        'R2.7',
        'R3.4',
        'R4.4',
        'R4.7',
    }
    assert set(MILLIONS) == set(REPORT_GENERATORS)


@pytest.mark.parametrize('name', REPORT_GENERATORS)
def test_report_is_built_as_described(name):
    model, how = on_meta(name)
    size, ni, no = how['size'], how['args']['ni'], how['args']['no']
    assert model(torch.zeros(2, ni, size, size, device='meta')).shape == (2, no, size, size)
    assert model.eval()(torch.zeros(1, ni, 1, 77, device='meta')).shape == (1, no, 1, 77)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(MILLIONS[name], abs=0.0005)
    for space, channels in (('lab', (1, 2)), ('rgb', (1, 3)), ('rgb3', (3, 3))):
        args = report_generator(name, space)['args']
        assert (args['ni'], args['no']) == channels
        on_meta(name, space=space)


def test_the_generator_of_pix2pix_has_54_million_parameters():
    model, _ = on_meta('r1-unet', ni=3, no=3)
    assert sum(p.numel() for p in model.parameters()) == 54_414_531  # 54.414 million, as in its authors' code


@pytest.mark.parametrize('name', REPORT_GENERATORS)
def test_report_learns_at_its_size(name):
    "Fewer channels, the full depth, a few steps."
    nf = REPORT_GENERATORS[name].args.get('nf', 32) // 8
    how = report_generator(name, **SMALLER.get(REPORT_GENERATORS[name].arch, dict(nf=nf)))
    torch.manual_seed(42)
    model, size = create_model(how['arch'], how['args']), how['size']
    y = torch.full((2, how['args']['no'], size, size), 0.3)
    x = torch.linspace(-1, 1, size).expand(2, how['args']['ni'], size, size)
    opt, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3), []
    for _ in range(4):
        opt.zero_grad()
        losses.append(F.l1_loss(model(x), y))
        losses[-1].backward()
        opt.step()
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    with torch.no_grad():
        assert predict(model.eval(), x[:1, :, :5, :9]).shape[-2:] == (5, 9)


@pytest.mark.parametrize('name', ['r0-pix2pix', 'r1-unet', 'r2-unet', 'r3-unet', 'r4-unet'])
def test_training_at_an_impossible_size_is_refused_in_one_line(name):
    model, how = on_meta(name)
    with pytest.raises(BadInput, match='multiple of') as e:
        model(torch.zeros(2, how['args']['ni'], 72, 72, device='meta'))
    assert '\n' not in str(e.value)


def test_the_shipped_model_still_colors_as_it_did():
    "What the shipped weights gave when they were made."
    from colorlab.backends import find_model

    model, _ = load_model(find_model('lite'))
    x = torch.linspace(-1, 1, 64).expand(1, 1, 48, 64)
    with torch.no_grad():
        y = predict(model.float(), x)
    before = [0.0188, 0.0328, 0.0132, 0.0218, 0.0025, 0.073, -0.0014, 0.0744]
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

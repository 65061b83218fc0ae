"The U-Net over an encoder of timm: sizes, what it refuses, and that it comes back from a file."

import pytest
import torch

from colorlab.images import BadInput
from colorlab.model_files import load_model, save_model
from colorlab.unet import TimmUNet, lite0_encoder


@pytest.mark.parametrize(
    'args, shape', [(dict(ni=3, no=3), (2, 3, 50, 70)), (dict(encoder='resnet18'), (2, 1, 64, 64))]
)
def test_any_size_and_other_encoders(args, shape):
    with torch.device('meta'):
        y = TimmUNet(**args)(torch.zeros(shape))
    assert y.shape == (2, args.get('no', 2), *shape[-2:])


def test_every_parameter_is_in_one_group():
    with torch.device('meta'):
        model = TimmUNet()
    assert sum(map(len, model.param_groups())) == len([*model.parameters()])


def test_other_channels_are_refused():
    with pytest.raises(BadInput, match='sees 1 or 3'):
        TimmUNet(ni=2)


def test_a_saved_model_is_built_without_the_weights_of_the_package(tmp_path):
    model = TimmUNet().eval()
    lite0_encoder(model)
    save_model(model, tmp_path / 'model.safetensors', 'colorlab.unet:TimmUNet', {}, 'lab', 64)
    again, header = load_model(tmp_path / 'model.safetensors')
    x = torch.rand(2, 1, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x), model(x), atol=1e-5, rtol=0)
    assert header['arch'] == 'colorlab.unet:TimmUNet'

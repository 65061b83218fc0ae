"""Our U-Net over a pretrained encoder against fastai's DynamicUnet over the same encoder and weights.

Both train for the same seconds.

python benchmarks/encoder.py [SECONDS [SIZE]]
"""

import sys
import time

import timm
import torch
import torch.nn.functional as F
from fastai.vision.models.unet import DynamicUnet
from torch import nn

from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.images import sample_folder
from colorlab.koala import lite0_weights
from colorlab.lab import LAB
from colorlab.loaders import photo_loaders
from colorlab.metrics import score
from colorlab.unet import TimmUNet, lite0_encoder


class FastaiUNet(nn.Module):
    "fastai's DynamicUnet over EfficientNet-Lite0, seeing what `TimmUNet` sees."

    def __init__(self, size):
        super().__init__()
        net = timm.create_model('tf_efficientnet_lite0')
        net.load_state_dict(lite0_weights())
        self.unet = DynamicUnet(nn.Sequential(nn.Sequential(net.conv_stem, net.bn1), *net.blocks), 2, (size, size))
        for name in ('mean', 'std'):
            self.register_buffer(name, torch.tensor(net.default_cfg[name])[:, None, None])

    def forward(self, x):
        return self.unet((x.expand(-1, 3, -1, -1) * 0.5 + 0.5 - self.mean) / self.std)

    def param_groups(self):
        encoder = list(self.unet[0].parameters())
        known = {id(p) for p in encoder}
        return [encoder, [p for p in self.unet.parameters() if id(p) not in known]]


def ours(size):
    model = TimmUNet()
    lite0_encoder(model)
    return model


def learn(make, seed, seconds, size, bs=14, lr=4e-3, encoder_lr_mult=0.3):
    """Train on the sample for some seconds of processor time; scores on its validation photos.

    Other programs do not count. The learning rate rises and falls with the clock.
    """
    torch.manual_seed(seed)
    model, dls = make(size), photo_loaders(make_manifest(sample_folder()), size=size, bs=bs, seed=seed)
    steps, done = 0, 0.0
    opt = torch.optim.AdamW(
        [dict(params=g, lr=lr * s) for g, s in zip(model.param_groups(), (encoder_lr_mult, 1))], weight_decay=0.01
    )
    clock = torch.optim.lr_scheduler.LambdaLR(opt, lambda _: min(done / 0.25, (1 - done) / 0.75) + 1e-3)
    model.train()
    began = time.process_time()
    while done < 1:
        for x, y in dls.train:
            F.l1_loss(model(x), y).backward()
            opt.step()
            opt.zero_grad()
            steps, done = steps + 1, min(1.0, (time.process_time() - began) / seconds)
            clock.step()
            if done == 1:
                break
    model.eval()
    with torch.no_grad():
        got = [score(LAB.merge(x, model(x)), LAB.merge(x, y)) for x, y in dls.valid]
    return (
        steps,
        sum(p.numel() for p in model.parameters()) / 1e6,
        sum(len(g) * g.mean() for g in got) / sum(map(len, got)),
    )


if __name__ == '__main__':
    seconds, size = (float(sys.argv[1]) if sys.argv[1:] else 60), (int(sys.argv[2]) if sys.argv[2:] else 96)
    print(f'{machine_name()}, {torch.get_num_threads()} threads, {seconds:g} s each, {size} px, batches of 14')
    for seed in (42, 43):
        for name, make in (('TimmUNet', ours), ('DynamicUnet', FastaiUNet)):
            steps, millions, s = learn(make, seed, seconds, size)
            print(
                f'seed {seed}  {name:12} {millions:5.1f} M parameters {steps:4} steps  PSNR {s.psnr:.2f} dB  '
                f'ab-RMSE {s.ab_rmse:.2f}  colorfulness {s.colorfulness:.1f}',
                flush=True,
            )

"""Does a classifier see in gray? EfficientNet-Lite0's first guess with and without color, for lesson koala.

python benchmarks/gray.py    # the sample's 276 photos at 224×224 pixels; about a minute on a core
"""

import timm
import torch

from colorlab.data import make_manifest
from colorlab.images import img_to_rgb, open_photo, sample_folder
from colorlab.lab import rgb_to_lab
from colorlab.pretrained import fill_lite0


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    classifier = timm.create_model('tf_efficientnet_lite0').eval()
    fill_lite0(classifier)
    files, same = make_manifest(sample_folder()).table.file, 0
    for file in files:
        rgb = torch.tensor(img_to_rgb(open_photo(sample_folder() / file).resize((224, 224))))[None]
        L = rgb_to_lab(rgb)[:, :1].expand(-1, 3, -1, -1) / 100
        color, gray = classifier(torch.cat([rgb, L]) * 2 - 1).argmax(1)
        same += (color == gray).item()
    print(f'the same first guess on {same} of {len(files)} photos, {same / len(files):.0%}')


if __name__ == '__main__':
    main()

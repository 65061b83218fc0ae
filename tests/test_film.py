"""Films: everything but the pictures stays, colors hold still, a job goes on, and what cannot be read is one line."""

import ast
import signal
import sys
from fractions import Fraction

import numpy as np
import pytest
from conftest import Running, colorlab, root, sample
from PIL import Image
from test_cli import one_line

from colorlab import film as film_module
from colorlab.colorizer import Colorizer
from colorlab.film import FilmHint, color_film
from colorlab.film_files import Film, frame_array, open_film, read_film_mark, read_frames, scan_film, write_piece
from colorlab.flicker import clip_motion, flicker, pan_photo
from colorlab.images import BadInput, open_photo
from colorlab.inputs import Hint
from colorlab.lab import LAB, rgb_to_lab

av = pytest.importorskip('av', reason='needs PyAV, the extra film')
SUBTITLES = '1\n00:00:00,100 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:01,400\nand goodbye\n'
PHOTOS = [sample / 'scenes' / name for name in ('lw-aitzgorri.jpg', 'pal-citrus-fruits.jpg', 'gc-farm_animals-cow.jpg')]


def paint(x):
    "Colors that depend on what is seen, and cost nothing."
    return np.concatenate([0.3 * x[:, :1], -0.3 * x[:, :1, ::-1]], 1)


painter = Colorizer(paint, LAB, 48, dict(model='m', sha256='0'))


def moving(shots=2, n=8, size=(96, 64)):
    "A gray clip of several shots."
    ends = (0.2, 0.3, 1.4), (0.2 + 0.025 * n, 0.3 + 0.025 * n, 1.4 + 0.0125 * n)
    clips = [pan_photo(open_photo(PHOTOS[i % 3]), size, n, *ends) for i in range(shots)]
    return [frame.convert('L').convert('RGB') for clip in clips for frame in clip]


def write_film(path, frames, rate=12, times=None, sound=False, codec='libx264', pix_fmt='yuv420p', rotation=0):
    "A film of pictures, perhaps with a tone and subtitles."
    with av.open(str(path), 'w') as out:
        video = out.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = *frames[0].size, pix_fmt
        video.codec_context.time_base = Fraction(1, 120)
        if rotation:
            video.set_display_rotation(rotation)
        if sound:
            tone = out.add_stream('aac', rate=8000, layout='mono')
            tone.metadata['language'] = 'fin'
            (path.parent / 'said.srt').write_text(SUBTITLES)
            said = av.open(str(path.parent / 'said.srt'))
            text = out.add_stream_from_template(said.streams[0])
            out.metadata['title'] = 'Two photos'
        for i, frame in enumerate(frames):
            frame = av.VideoFrame.from_image(frame)
            frame.pts, frame.time_base = times[i] if times else i * 120 // rate, Fraction(1, 120)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            wave = np.sin(np.arange(12000) / 3).astype(np.float32)[None]
            for i in range(0, 12000, 1000):
                block = av.AudioFrame.from_ndarray(wave[:, i : i + 1000], format='fltp', layout='mono')
                block.sample_rate, block.pts, block.time_base = 8000, i, Fraction(1, 8000)
                out.mux(tone.encode(block))
            out.mux(tone.encode(None))
            for packet in said.demux():
                if packet.pts is not None:
                    packet.stream = text
                    out.mux(packet)
            said.close()
    return path


def read_film(path):
    "All frames, uint8 (n, h, w, 3)."
    size = scan_film(path).size
    with open_film(path) as (container, stream):
        return np.stack([frame_array(frame, size) for _, frame in read_frames(container, stream, [])])


def packets(path, kind):
    "Time and bytes of all packets of the streams of a kind."
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        said = [(s.metadata.get('language'), s.codec_context.name) for s in streams]
        found = container.demux(streams) if streams else ()
        return said, [(p.pts * p.time_base, bytes(p)) for p in found if p.pts is not None]


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4'])
def test_everything_but_the_pictures_stays(tmp_path, suffix):
    times = [i * 10 + 5 * (i > 6) + 7 * (i > 11) for i in range(16)]  # two frames stay longer
    source = write_film(tmp_path / 'film.mkv', moving(), times=times, sound=suffix == '.mkv')
    dest = tmp_path / 'out' / f'film{suffix}'
    result = color_film(painter, source, dest)
    assert (result.frames, result.shots, result.messages, result.broken) == (16, 2, [], [])
    before, after = scan_film(source), scan_film(dest)
    seconds = [np.array(film.times) * float(Fraction(film.time_base)) for film in (before, after)]
    assert before.size == after.size and np.abs(np.subtract(*seconds)).max() < 1e-3
    for kind in ('audio', 'subtitle'):
        assert packets(source, kind) == packets(dest, kind)
        assert len(packets(dest, kind)[0]) == (suffix == '.mkv')
    with av.open(str(dest)) as container:
        assert container.metadata.get('title', container.metadata.get('TITLE')) == (
            'Two photos' if suffix == '.mkv' else None
        )
    mark = read_film_mark(dest)
    assert mark['model'] == 'm' and mark['digital_source_type'].endswith('compositeWithTrainedAlgorithmicMedia')
    lightness = [rgb_to_lab(f.transpose(0, 3, 1, 2))[:, 0] for f in (read_film(source), read_film(dest))]
    assert np.abs(np.subtract(*lightness)).mean() < 1.5  # and so does the lightness
    assert [p.name for p in dest.parent.iterdir()] == [dest.name]


def test_steady_colors_flicker_little_more_than_the_truth(tmp_path):
    "At most 1.3 times, while each frame alone flickers more; all written by the same encoder, and none of them gray."
    lite, folder = Colorizer.from_pretrained('lite'), tmp_path
    truth = pan_photo(open_photo(PHOTOS[2]), (160, 96), 10, (0.3, 0.5, 1.5), (0.5, 0.5, 1.7))
    gray = [frame.convert('L').convert('RGB') for frame in truth]
    clips = dict(truth=truth, alone=[lite(frame) for frame in gray])
    films = {name: folder / f'{name}.nut' for name in clips}
    for name, frames in clips.items():
        with write_piece(films[name], Film((160, 96), '1', '12', '1/12'), '.mkv') as encode:
            for i, frame in enumerate(frames):
                encode(np.asarray(frame), i)
    films['steady'] = color_film(lite, write_film(folder / 'gray.mkv', gray), folder / 'steady.mkv').path
    motion = clip_motion([np.asarray(frame.convert('L').resize((80, 48), Image.BOX)) for frame in gray])
    found = {}
    for name, film in films.items():
        small = [Image.fromarray(frame).resize((80, 48), Image.BOX) for frame in read_film(film)]
        ab = [rgb_to_lab(np.asarray(frame).transpose(2, 0, 1))[1:] for frame in small]
        found[name] = flicker(ab, motion).mean()
        assert np.linalg.norm(ab, axis=1).mean() > 5
    assert found['steady'] < 1.3 * found['truth'] < found['alone'], found


def test_a_model_that_changes_its_mind_does_not_show_but_a_cut_does(tmp_path):
    calls = []

    def fickle(x):
        calls.append(x)
        return np.full((1, 2, *x.shape[-2:]), 0.3 * (-1) ** len(calls), np.float32)

    source = write_film(tmp_path / 'film.mkv', moving(2, 13))
    color_film(Colorizer(fickle, LAB, 48, dict(model='m', sha256='0')), source, tmp_path / 'out.mkv')
    a = rgb_to_lab(read_film(tmp_path / 'out.mkv').transpose(0, 3, 1, 2))[:, 1].mean((1, 2))
    swings = np.abs(np.diff(a))
    assert len(calls) == 2 * 5  # every third of 13 frames is a key
    assert np.delete(swings, 12).max() < 10 < 20 < swings[12]


@pytest.mark.parametrize('stop', range(2, 12, 3))
def test_a_stopped_job_ends_in_the_same_film(tmp_path, monkeypatch, stop):
    "Stopped anywhere, in the middle of a shot as well: frame by frame the same."
    monkeypatch.setattr(film_module, 'PIECE_KEYS', 2)
    source = write_film(tmp_path / 'film.mkv', moving(2, 16))
    color_film(painter, source, tmp_path / 'whole.mkv')
    left = iter(range(stop))

    def tires(x):
        next(left)  # StopIteration when it is tired
        return paint(x)

    with pytest.raises((StopIteration, RuntimeError)):
        color_film(Colorizer(tires, LAB, 48, painter.provenance), source, tmp_path / 'out.mkv')
    assert not (tmp_path / 'out.mkv').exists()
    work = tmp_path / 'out.mkv.parts'
    assert any(work.glob('*.nut')) == (stop > 4)
    color_film(painter, source, tmp_path / 'out.mkv')
    assert np.array_equal(read_film(tmp_path / 'out.mkv'), read_film(tmp_path / 'whole.mkv')) and not work.exists()


def test_killed_and_stopped_by_ctrl_c(tmp_path):
    source = write_film(tmp_path / 'film.mkv', moving(8, 3))
    out, parts = tmp_path / 'out.mkv', tmp_path / 'out.mkv.parts'
    for stop, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        pieces = len(list(parts.glob('*.nut')))
        coloring = Running('film', source, '--out', out)
        coloring.wait_for(lambda: len(list(parts.glob('*.nut'))) > pieces)
        done = coloring.end(stop)
        assert done.returncode == code and not out.exists() and 'Traceback' not in done.stderr
    assert 'nothing is lost' in done.stderr
    done = colorlab('film', source, '--out', out)
    assert f'24 frames in 8 shots colored into {out}' in done.stdout and not parts.exists()
    assert 'colorized by the model lite' in colorlab('inspect', out).stdout
    assert 'is there already (--force does it again)' in colorlab('film', source, '--out', out).stdout


@pytest.mark.parametrize(
    'size, options',
    [
        ((97, 63), dict(pix_fmt='yuv444p')),
        ((96, 64), dict(codec='ffv1', pix_fmt='gray')),
        ((64, 96), dict(rotation=-90)),
    ],
    ids=['odd', 'gray', 'rotated'],
)
def test_sizes_pixels_and_turned_cameras(tmp_path, size, options):
    frames = moving(1, 3, size)
    source = write_film(tmp_path / 'film.mkv' if 'codec' in options else tmp_path / 'film.mp4', frames, **options)
    result = color_film(painter, source, tmp_path / 'out')
    made = read_film(result.path)
    upright = [np.rot90(np.asarray(f), options.get('rotation', 0) // 90) for f in frames]
    assert made.shape == np.shape(upright)
    assert np.abs(made.mean(-1) - np.mean(upright, -1)).mean() < 12
    with open_film(result.path) as (container, stream):
        assert next(container.decode(stream)).rotation == 0


def test_a_broken_frame_is_named_and_passed_over(tmp_path):
    source = write_film(tmp_path / 'film.mkv', moving(), codec='ffv1', pix_fmt='gray', sound=True)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(b ^ 0x5A for b in data[middle : middle + 300])
    source.write_bytes(data)
    done = colorlab('film', source, '--out', tmp_path / 'out.mkv', check=False)
    assert (
        done.returncode == 1 and 'passed over what cannot be read at 0.' in done.stderr and done.stderr.count('\n') == 1
    )
    assert 12 <= len(read_film(tmp_path / 'out.mkv')) < 16
    source.write_bytes(bytes(data[: len(data) * 2 // 3]))  # cut off
    assert 5 < color_film(painter, source, tmp_path / 'short.mkv').frames < 16


def test_what_is_no_film_is_one_line(tmp_path):
    (tmp_path / 'text.mp4').write_text('no film')
    (tmp_path / 'empty.mp4').touch()
    Image.new('RGB', (64, 48)).save(tmp_path / 'photo.png')
    write_film(tmp_path / 'film.mkv', moving(1, 2))
    for name, why in {
        'text.mp4': 'is no film',
        'empty.mp4': 'is no film',
        'photo.png': 'is a photo',
        'missing.mp4': 'No such file',
    }.items():
        one_line(colorlab('film', tmp_path / name, '--out', tmp_path / 'x.mkv', check=False), why)
    (tmp_path / 'mine.mkv').write_text('precious')
    for options, why in (
        (['--out', tmp_path / 'mine.mkv'], '--force'),
        (['--out', tmp_path / 'film.mkv'], 'its own source'),
        (['--out', tmp_path / 'film.avi'], 'ends in one of'),
        (['--out', tmp_path / 'x.mkv', '--hint', '0,9000,1,red'], 'outside'),
        (['--out', tmp_path / 'x.mkv', '--hint', '99,1,1,red'], 'no frame at 99 s'),
        (['--out', tmp_path / 'x.mkv', '--hint', '1,1,red'], 'give seconds,x,y'),
        (['--out', tmp_path / 'x.mkv', '--model', 'sr2'], 'enlarges'),
    ):
        one_line(colorlab('film', tmp_path / 'film.mkv', *options, check=False), why)
    assert (tmp_path / 'mine.mkv').read_text() == 'precious' and not (tmp_path / 'x.mkv').exists()


def test_a_hint_holds_for_its_shot(tmp_path):
    source = write_film(tmp_path / 'film.mkv', moving(2, 9, (160, 96)))
    hints = [FilmHint(0.35, Hint(80, 48, '#2030d0'))]
    lite = Colorizer.from_pretrained('lite')
    color_film(lite, source, tmp_path / 'out.mkv', hints=hints)
    color_film(lite, source, tmp_path / 'without.mkv')
    b = [
        rgb_to_lab(read_film(tmp_path / f).transpose(0, 3, 1, 2))[:, 2, 40:56, 72:88].mean((1, 2))
        for f in ('out.mkv', 'without.mkv')
    ]
    bluer = b[1] - b[0]
    assert bluer[:9].min() > 5 > 1 > np.abs(bluer[9:]).max()
    assert 'ab(' in read_film_mark(tmp_path / 'out.mkv')['hints']


def test_without_pyav(monkeypatch):
    "Nobody else needs it; and who does is told what to install."
    for file in (root / 'colorlab').glob('*.py'):
        for node in ast.parse(file.read_text()).body:
            taken = [a.name for a in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            assert 'av' not in taken and getattr(node, 'module', '') != 'av', file
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(BadInput, match=r'colorlab\[film\]'):
        color_film(painter, 'any.mkv', 'other.mkv')

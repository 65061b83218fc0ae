// The heavy part: opens photos, runs the graph (notebook onnx_pipeline), writes files. It knows nothing of the page.
import * as ort from './ort.wasm.bundle.min.mjs';

const PREVIEW = 1600;    // pixels of the longer side of what the screen shows
const MOST = 100e6;      // pixels of a photo
const STRIP = 2 ** 20;   // pixels that are copied at once
const here = name => new URL(name, import.meta.url);
const wrong = text => Object.assign(new Error(text), { plain: true });  // one line for the user

async function fetchBytes(name, onBytes) {
  const reply = await fetch(here(name));
  if (!reply.ok) throw wrong('The model could not be loaded. Check the connection and open this page again.');
  const parts = [];
  for (const reader = reply.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    onBytes(value.length);
  }
}

async function start() {
  const build = await (await fetch(here('build.json'))).json();
  let loaded = 0;
  const count = n => postMessage({ progress: (loaded += n) / build.bytes, text: `Getting ready: ${(loaded / 1e6).toFixed(0)} of ${(build.bytes / 1e6).toFixed(0)} MB` });
  const [wasm, model] = await Promise.all(build.large.map(name => fetchBytes(name, count)));
  ort.env.wasm.wasmBinary = wasm.buffer;
  postMessage({ progress: 1, text: 'Getting ready …' });
  return ort.InferenceSession.create(model, { executionProviders: ['wasm'], logSeverityLevel: 3 });
}
const session = start();
session.then(() => postMessage({ ready: true }), e => postMessage({ broken: e.plain ? e.message : `The model cannot run in this browser (${e.message}).` }));

async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);  // upright, and in sRGB
  } catch {
    throw wrong(`${file.name} is no photo that this browser can open. JPEG, PNG and WebP work everywhere.`);
  }
  if (bitmap.width * bitmap.height > MOST) throw wrong(`${file.name} is too large for a browser; use colorlab on a computer.`);
  return bitmap;
}

function strips({ width, height }, work) {
  const rows = Math.max(1, Math.floor(STRIP / width));
  for (let y = 0; y < height; y += rows) work(y, Math.min(rows, height - y));
}

function readPixels(bitmap) {
  const { width, height } = bitmap, rgb = new Uint8Array(3 * width * height), alpha = new Uint8Array(width * height);
  let opaque = true;
  strips(bitmap, (y, rows) => {
    const context = new OffscreenCanvas(width, rows).getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, -y);
    const rgba = context.getImageData(0, 0, width, rows).data;
    for (let from = 0, pixel = y * width; from < rgba.length; from += 4, pixel++) {
      rgb[3 * pixel] = rgba[from]; rgb[3 * pixel + 1] = rgba[from + 1]; rgb[3 * pixel + 2] = rgba[from + 2];
      if ((alpha[pixel] = rgba[from + 3]) < 255) opaque = false;
    }
  });
  return { width, height, rgb, alpha: opaque ? null : alpha };
}

function paint({ width, height, alpha }, rgb) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext('2d');
  strips({ width, height }, (y, rows) => {
    const image = new ImageData(width, rows), rgba = image.data;
    for (let to = 0, pixel = y * width; to < rgba.length; to += 4, pixel++) {
      rgba[to] = rgb[3 * pixel]; rgba[to + 1] = rgb[3 * pixel + 1]; rgba[to + 2] = rgb[3 * pixel + 2];
      rgba[to + 3] = alpha ? alpha[pixel] : 255;
    }
    context.putImageData(image, 0, y);
  });
  return canvas;
}

// a and b of CIELAB, as colorlab.lab.rgb_to_lab has them
function toAb(hex) {
  const linear = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255).map(c => c > 0.04045 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.92);
  const [x, y, z] = [[0.412453 / 0.95047, 0.35758 / 0.95047, 0.180423 / 0.95047], [0.212671, 0.71516, 0.072169], [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883]]
    .map(row => row.reduce((sum, m, i) => sum + m * linear[i], 0)).map(t => t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29);
  return [500 * (x - y), 200 * (y - z)];
}

async function color({ rgb, width, height }, { hints, vividness, ab }) {
  const places = hints.flatMap(h => [Math.min(h.x * width, width - 1), Math.min(h.y * height, height - 1), ...toAb(h.color)]);
  const found = await (await session).run({
    photo: new ort.Tensor('uint8', rgb, [height, width, 3]),
    hints: new ort.Tensor('float32', Float32Array.from(places), [hints.length, 4]),
    vividness: new ort.Tensor('float32', [vividness], []),
    accurate: new ort.Tensor('bool', [false], []),
    known_ab: ab ? new ort.Tensor('float32', ab.data, ab.dims) : new ort.Tensor('float32', new Float32Array(0), [2, 0, 0]),
  });
  return { rgb: found.colored.data, ab: { data: found.ab.data.slice(), dims: found.ab.dims } };
}

let last = {};  // the photo that the screen shows
async function preview({ key, file, ...wanted }) {
  if (last.key !== key) {
    const bitmap = await decode(file), { width, height } = bitmap, scale = Math.min(1, PREVIEW / Math.max(width, height));
    const size = [width, height].map(n => Math.max(1, Math.round(n * scale)));
    const small = scale < 1 ? await createImageBitmap(bitmap, { resizeWidth: size[0], resizeHeight: size[1], resizeQuality: 'high' }) : bitmap;
    last = { key, size: [width, height], pixels: readPixels(small) };
    bitmap.close();
  }
  const { rgb, ab } = await color(last.pixels, wanted);
  const [before, after] = [last.pixels.rgb, rgb].map(colors => paint(last.pixels, colors).transferToImageBitmap());
  return [{ before, after, ab, size: last.size }, [before, after]];
}

async function save({ file, type, ...wanted }) {
  const bitmap = await decode(file), photo = readPixels(bitmap);
  bitmap.close();
  const { rgb } = await color(photo, wanted);
  photo.rgb = null;
  const blob = await paint(photo, rgb).convertToBlob({ type, quality: 0.95 });
  const mark = new Uint8Array(await (await fetch(here('mark.xmp'))).arrayBuffer());
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return [new Blob(type === 'image/png' ? markPng(bytes, mark) : markJpeg(bytes, mark), { type })];
}

// "colored by a model", as programs read it (notebook metadata): XMP behind the head of the file
const text = s => new TextEncoder().encode(s);
function markJpeg(bytes, mark) {
  const name = text('http://ns.adobe.com/xap/1.0/\0'), n = 2 + name.length + mark.length;
  return [bytes.subarray(0, 2), Uint8Array.of(0xff, 0xe1, n >> 8, n & 255), name, mark, bytes.subarray(2)];
}
function markPng(bytes, mark) {
  const body = [...text('iTXtXML:com.adobe.xmp\0\0\0\0\0'), ...mark], head = 33;  // signature and IHDR
  let crc = -1;
  for (const byte of body) { crc ^= byte; for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0); }
  const number = n => new Uint8Array([n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255]);
  return [bytes.subarray(0, head), number(body.length - 4), Uint8Array.from(body), number(~crc >>> 0), bytes.subarray(head)];
}

const jobs = { preview, save };
onmessage = async ({ data: { id, job, ...wanted } }) => {
  try {
    const [result, moved = []] = await jobs[job](wanted);
    postMessage({ id, result }, moved);
  } catch (e) {
    postMessage({ id, failed: e.plain ? e.message : `This did not work: ${e.message}. A smaller photo may.` });
  }
};

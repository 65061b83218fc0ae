// What the user sees and does; worker.js does the work. The photo goes from one to the other and nowhere else.
const $ = id => document.getElementById(id);
const SWATCHES = { skin: '#c99a7c', 'dark skin': '#7a5238', hair: '#4a3526', wood: '#8a6642', brick: '#a0522d', red: '#b02e2e', yellow: '#d8b040', grass: '#6a8a3c', leaves: '#3f6b35', sky: '#8db4d8', 'dark blue': '#2f4477', gray: '#808080' };

let photos = [], shown = null, hint = null, ready = false, keys = 0;
let trouble = '';  // what did not work; it stays in view until the user does something else
const status = (text, wrong = false) => { $('status').textContent = text; document.querySelector('footer').classList.toggle('wrong', Boolean(wrong)); };
const bar = value => { $('bar').hidden = value === null; if (value === undefined) $('bar').removeAttribute('value'); else if (value !== null) $('bar').value = value; };

// the worker; one made of a blob is bound by the same Content-Security-Policy as this page
const source = new Blob([`import ${JSON.stringify(new URL('worker.js', import.meta.url).href)};`], { type: 'text/javascript' });
const worker = new Worker(URL.createObjectURL(source), { type: 'module' });
const waiting = new Map();
worker.onmessage = ({ data }) => {
  if (data.progress !== undefined) { bar(data.progress); status(data.text); }
  else if (data.ready) { ready = true; bar(null); status('Ready.'); keepOffline(); refresh(); }
  else if (data.broken) { bar(null); status(data.broken, true); }
  else {
    const { done, fail } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.failed) fail(new Error(data.failed)); else done(data.result);
  }
};
worker.onerror = () => status('This browser is too old to color photos. A newer one will do it.', true);
const ask = (job, wanted) => new Promise((done, fail) => {
  const id = ++keys;
  waiting.set(id, { done, fail });
  worker.postMessage({ id, job, ...wanted });
});

async function keepOffline() {
  if (!('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
    $('promise').textContent = 'Your photos stay on this device. Works offline.';
  } catch { /* without it the page works as well, but online only */ }
}

// photos
function add(files) {
  const made = [...files].map(file => ({ key: ++keys, file, hints: [], vividness: 1, ab: null, button: document.createElement('button') }));
  for (const photo of made) {
    photo.button.type = 'button';
    photo.button.textContent = photo.file.name;
    photo.button.onclick = () => { trouble = ''; show(photo); };
    $('film').append(photo.button);
  }
  photos.push(...made);
  trouble = '';
  if (made.length) show(made[0]);
}

function show(photo) {
  shown = photo;
  closePalette();
  $('start').hidden = true;
  $('work').hidden = false;
  $('film').hidden = $('all').hidden = photos.length < 2;
  $('vividness').value = photo.vividness;
  for (const p of photos) p.button.setAttribute('aria-pressed', p === photo);
  drawHints();
  refresh();
}

function forget(photo) {
  photo.button.remove();
  photos = photos.filter(p => p !== photo);
  if (photo !== shown) return;
  if (photos.length) show(photos.at(-1));
  else { shown = null; $('work').hidden = true; $('start').hidden = false; }
}

// what is asked for while the worker is busy is done once, afterwards
let working = false, again = false;
async function refresh() {
  if (!ready || !shown) return;
  if (working) { again = true; return; }
  working = true;
  const photo = shown, first = !photo.ab;
  busy(first ? trouble || 'Coloring …' : null);
  try {
    const { before, after, ab, size } = await ask('preview', { key: photo.key, file: photo.file, hints: photo.hints, vividness: photo.vividness, ab: photo.ab });
    if (first && !photo.stale) photo.ab = ab;
    photo.stale = false;
    photo.size = size;
    if (photo === shown) draw(before, after);
    if (!photo.thumb) thumbnail(photo, after);
    status(trouble || `${photo.file.name}, ${size[0]} × ${size[1]} pixels`, trouble);
  } catch (e) {
    trouble = e.message;
    status(trouble, true);
    forget(photo);
  }
  busy(null, true);
  working = false;
  if (again) { again = false; refresh(); }
}

function busy(text, done = false) {
  $('stage').classList.toggle('busy', !done && text !== null);
  for (const id of ['jpeg', 'png', 'all']) $(id).disabled = !done;
  bar(text ? undefined : null);
  if (text) status(text);
}

function draw(before, after) {
  for (const [id, bitmap] of [['before', before], ['after', after]]) {
    Object.assign($(id), { width: bitmap.width, height: bitmap.height });
    $(id).getContext('2d').drawImage(bitmap, 0, 0);
  }
  $('stage').style.setProperty('--ratio', after.width / after.height);
}

function thumbnail(photo, bitmap) {
  const scale = 160 / Math.max(bitmap.width, bitmap.height), canvas = document.createElement('canvas');
  Object.assign(canvas, { width: Math.max(1, bitmap.width * scale), height: Math.max(1, bitmap.height * scale) });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.toBlob(blob => {
    photo.thumb = Object.assign(new Image(), { src: URL.createObjectURL(blob), alt: photo.file.name });
    photo.button.replaceChildren(photo.thumb);
  }, 'image/jpeg');
}

// saving
async function save(photo, type) {
  busy(`Coloring ${photo.file.name} at full size …`);
  try {
    const blob = await ask('save', { file: photo.file, hints: photo.hints, vividness: photo.vividness, type });
    const name = photo.file.name.replace(/\.[^.]*$/, '') + (type === 'image/png' ? '.colored.png' : '.colored.jpg');
    const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    status(`Saved as ${name}.`);
    return true;
  } catch (e) {
    status(e.message, true);
    return false;
  } finally { busy(null, true); }
}
$('jpeg').onclick = () => save(shown, 'image/jpeg');
$('png').onclick = () => save(shown, 'image/png');
$('all').onclick = async () => {
  const failed = [];
  for (const photo of [...photos]) if (!await save(photo, 'image/jpeg')) failed.push(photo.file.name);
  if (failed.length) status(`Not saved: ${failed.join(', ')}. The others are.`, true);
};

// choosing and dropping
$('choose').onclick = $('more').onclick = () => $('files').click();
$('files').onchange = () => { add($('files').files); $('files').value = ''; };
$('sample').onclick = async () => add([new File([await (await fetch('sample.jpg')).blob()], 'sample.jpg', { type: 'image/jpeg' })]);
addEventListener('dragover', e => { e.preventDefault(); document.body.classList.add('dropping'); });
addEventListener('dragleave', e => { if (!e.relatedTarget) document.body.classList.remove('dropping'); });
addEventListener('drop', e => { e.preventDefault(); document.body.classList.remove('dropping'); add(e.dataTransfer.files); });
addEventListener('paste', e => add(e.clipboardData.files));

// before and after
const cut = percent => {
  percent = Math.min(100, Math.max(0, percent));
  $('stage').style.setProperty('--cut', `${percent}%`);
  $('divider').setAttribute('aria-valuenow', Math.round(percent));
};
const along = e => { const box = $('stage').getBoundingClientRect(); return [(e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height]; };
$('divider').onpointerdown = e => $('divider').setPointerCapture(e.pointerId);
$('divider').onpointermove = e => { if ($('divider').hasPointerCapture(e.pointerId)) cut(100 * along(e)[0]); };
$('divider').onkeydown = e => {
  const now = +$('divider').getAttribute('aria-valuenow'), to = { ArrowLeft: now - 2, ArrowRight: now + 2, Home: 0, End: 100 }[e.key];
  if (to !== undefined) { cut(to); e.preventDefault(); }
};

// vividness and hints
$('vividness').oninput = () => { trouble = ''; shown.vividness = +$('vividness').value; refresh(); };
const predict = () => { trouble = ''; shown.ab = null; shown.stale = working; drawHints(); refresh(); };
function drawHints() {
  $('hints').replaceChildren(...shown.hints.map(h => {
    const dot = Object.assign(document.createElement('button'), { className: 'hint', type: 'button', title: 'Change this color' });
    Object.assign(dot.style, { left: `${100 * h.x}%`, top: `${100 * h.y}%`, background: h.color });
    dot.onclick = () => openPalette(h);
    return dot;
  }));
}
function openPalette(h) {
  hint = h;
  $('other').value = h.color;
  $('remove').textContent = shown.hints.includes(h) ? 'Remove' : 'Cancel';
  $('palette').hidden = false;
  const stage = $('stage').getBoundingClientRect(), box = $('palette').getBoundingClientRect();
  const left = Math.min(Math.max(h.x * stage.width - box.width / 2, 0), Math.max(0, stage.width - box.width));
  const top = h.y * stage.height + (h.y < 0.5 ? 20 : -20 - box.height);
  Object.assign($('palette').style, { left: `${left}px`, top: `${top}px` });
  $('swatches').firstChild.focus({ preventScroll: true });
}
function closePalette() { $('palette').hidden = true; hint = null; }
function give(color) {
  if (!shown.hints.includes(hint)) shown.hints.push(hint);
  hint.color = color;
  predict();
}
$('stage').onclick = e => {
  if (e.target.closest('#palette, #divider, .hint')) return;
  if (hint) { closePalette(); return; }
  const [x, y] = along(e);
  openPalette({ x, y, color: '#a06040' });
};
for (const [name, color] of Object.entries(SWATCHES)) {
  const swatch = Object.assign(document.createElement('button'), { type: 'button', title: name, ariaLabel: name });
  swatch.style.background = color;
  swatch.onclick = () => { give(color); closePalette(); };
  $('swatches').append(swatch);
}
$('other').onchange = () => { give($('other').value); closePalette(); };
$('remove').onclick = () => {
  const given = shown.hints.indexOf(hint);
  closePalette();
  if (given >= 0) { shown.hints.splice(given, 1); predict(); }
};
addEventListener('keydown', e => { if (e.key === 'Escape') closePalette(); });

status('Getting ready …');

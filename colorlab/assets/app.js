// What the browser does by itself: the slider, the mode, the cross. Python is told of the rest by `trigger`.
const now = { mode: 'compare', color: '#2f6db5', cut: 50, cross: [50, 50], focus: null };
const find = what => element.querySelector(what);

function restore() {  // after Python has drawn the page anew
  const pair = find('.pair');
  if (!pair) return;
  const saying = now.mode === 'say';
  element.classList.toggle('say', saying);
  pair.style.setProperty('--cut', (saying ? 0 : now.cut) + '%');
  find('[data-key=cut]').value = now.cut;
  find('[data-key=color]').value = now.color;
  const cross = find('.place i');
  [cross.style.left, cross.style.top] = now.cross.map(share => share + '%');
  element.querySelectorAll('[data-do=mode]').forEach(b => b.setAttribute('aria-pressed', b.dataset.mode === now.mode));
  const before = now.focus && find(`[data-key=${now.focus}]`);
  if (before && document.activeElement === document.body) before.focus({ preventScroll: true });
}

const tell = {
  mode: b => { now.mode = b.dataset.mode; restore(); },
  point: b => {
    if (now.mode !== 'say') { now.mode = 'say'; restore(); return; }
    trigger('say', { x: +b.dataset.x, y: +b.dataset.y, color: now.color });
  },
  place: (b, e) => {
    const box = b.getBoundingClientRect();
    if (e.detail) now.cross = [100 * (e.clientX - box.left) / box.width, 100 * (e.clientY - box.top) / box.height];
    const [x, y] = now.cross.map(share => Math.min(Math.max(share / 100, 0), 0.9999));
    trigger('say', { x, y, color: now.color });
  },
  undo: () => trigger('undo', {}),
  unsure: () => trigger('unsure', {}),
  ideas: () => trigger('ideas', {}),
  idea: b => trigger('idea', { i: +b.dataset.i }),
  photo: b => trigger('photo', { i: +b.dataset.i }),
};

element.addEventListener('click', e => {
  const button = e.target.closest('[data-do]');
  if (button) tell[button.dataset.do](button, e);
});
element.addEventListener('input', e => {
  if (e.target.dataset.key === 'color') now.color = e.target.value;
  if (e.target.dataset.key === 'cut') { now.cut = +e.target.value; restore(); }
});
element.addEventListener('keydown', e => {  // arrows move the cross
  const step = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] }[e.key];
  if (e.target.dataset.do !== 'place' || !step) return;
  e.preventDefault();
  now.cross = now.cross.map((share, i) => Math.min(Math.max(share + step[i] / (e.shiftKey ? 4 : 1), 0), 99.9));
  restore();
});
element.addEventListener('focusin', e => { now.focus = e.target.dataset.key || null; });
watch('value', restore);
restore();

// Keeps the page for use without a connection, and answers from what it keeps. docs/build_page.py fills in BUILD.
const BUILD = { version: '', files: [] };
const CACHE = `colorlab-page-${BUILD.version}`;
const POLICY = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };  // for threads

addEventListener('install', e => e.waitUntil(caches.open(CACHE).then(cache => cache.addAll(['./', ...BUILD.files]))));
addEventListener('activate', e => e.waitUntil(caches.keys().then(names => Promise.all(
  names.filter(n => n.startsWith('colorlab-page-') && n !== CACHE).map(n => caches.delete(n))))));

async function answer(request) {
  const kept = await (await caches.open(CACHE)).match(request, { ignoreSearch: true });
  const reply = kept ?? await fetch(request), headers = new Headers(reply.headers);
  for (const [name, value] of Object.entries(POLICY)) headers.set(name, value);
  return new Response(reply.body, { status: reply.status, statusText: reply.statusText, headers });
}
addEventListener('fetch', e => {
  if (new URL(e.request.url).origin === location.origin && e.request.method === 'GET') e.respondWith(answer(e.request));
});

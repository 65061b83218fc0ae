link => {
  if (!link) return;
  const a = document.createElement('a');
  a.href = link;
  a.download = '';
  document.body.append(a);
  a.click();
  a.remove();
}

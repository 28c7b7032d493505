// The page shows by itself what has changed. What has the focus stays as it is until the focus leaves it.
const live = document.getElementById('live');
const trouble = document.getElementById('trouble');
const form = document.getElementById('pay');

async function look() {
  try {
    const answer = await fetch(form ? form.action.replace(/\/pay$/, '') : location.href, { cache: 'no-store' });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const now = page.getElementById('live');
    if (!answer.ok || !now) throw new Error(answer.statusText);
    if (!live.contains(document.activeElement) && live.innerHTML !== now.innerHTML) live.innerHTML = now.innerHTML;
    if (form) form.hidden = page.getElementById('pay').hidden;
    trouble.hidden = true;
  } catch {
    trouble.hidden = false;
  }
  setTimeout(look, 1000);
}

form?.addEventListener('input', (event) => {
  const of = { amount: 'part', payers: 'share' }[event.target.name];
  if (of) form.querySelector(`[value=${of}]`).checked = true;
  const chosen = form.querySelector('[name=pay]:checked').value;
  if (chosen !== 'part') form.querySelector('[name=amount]').value = '';
  if (chosen !== 'share') form.querySelector('[name=payers]').value = '';
});
document.body.dataset.ready = 'true';
setTimeout(look, 1000);

// The terminals, and the person who stands at them.

import { call, cents, clock, element, find, money, priced } from './api.js';

const every = 500; // milliseconds between two looks at the terminals

const articles = [...document.querySelectorAll('[data-terminal]')];
const part = (article, name) => find('[data-part=' + name + ']', article);
const path = (article) => '/smartconnect/terminals/' + encodeURIComponent(article.dataset.terminal);

const words = {
  'Card.Purchase': 'Purchase', 'Card.Refund': 'Refund', 'Card.PurchasePlusCash': 'Purchase with cash', 'Card.CashAdvance': 'Cash advance',
  'Card.Authorise': 'Authorisation', 'Card.Finalise': 'Finalisation', 'QR.Merchant.Purchase': 'QR purchase',
  'QR.Consumer.Purchase': 'QR purchase', 'QR.Refund': 'QR refund',
};
const verdicts = { 'OK-ACCEPTED': 'Approved', 'OK-DECLINED': 'Declined', CANCELLED: 'Cancelled' };
const what = (type) => words[type] ?? type.replaceAll('.', ' ');
const verdict = (one) => verdicts[one.transaction_result] ?? (one.transaction_result || one.result || 'Ended');

const time = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });

// screen says what is on a terminal's display.
function screen(state, charges) {
  if (state.current) {
    return ['busy', what(state.current.type), priced(state.current.cents), state.plugged ? 'Present card' : 'No connection'];
  }
  if (!state.plugged) return ['offline', 'No connection', '', lastLine(state, charges)];
  if (state.pairing_code) {
    const code = state.pairing_code.replace(/^(\d{4})(\d{4})$/, '$1 $2');
    return ['code', 'Pairing code', code, 'until ' + time(state.pairing_code_expires_at)];
  }
  if (state.screen === 'PAIRING CODE EXPIRED') return ['expired', 'Pairing code expired', '', 'Show a new one'];
  return ['idle', 'Ready', '', lastLine(state, charges)];
}

function lastLine(state, charges) {
  if (!state.last) return '';
  const charge = charges.find((one) => one.transaction_id === state.last.id);
  return verdict(state.last) + ': ' + what(state.last.type) + ' ' + money(charge ? charge.cents : state.last.cents);
}

// set changes text only when it is another one: what stays the same is neither painted nor read out again.
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawTerminal(article, state, charges) {
  const [kind, head, big, foot] = screen(state, charges);
  if (article.dataset.state !== kind) article.dataset.state = kind;
  article.dataset.plugged = String(state.plugged);
  set(part(article, 'head'), head);
  set(part(article, 'big'), big);
  set(part(article, 'foot'), foot);
  const count = state.queue.length;
  set(part(article, 'paired'), (state.registers.map((one) => one.register_name || one.register_id).join(', ') || 'No register is paired')
    + (count ? ' · ' + count + ' waiting' : ''));
  set(find('[data-action=plug]', article), state.plugged ? 'Unplug' : 'Plug in');
  for (const action of ['approve', 'decline', 'cancel', 'extras']) {
    find('[data-action=' + action + ']', article).setAttribute('aria-disabled', String(!state.current));
  }
  choose(article, 'slow', String(state.settings.slow_ms), state.settings.slow_ms / 1000 + ' s late');
  choose(article, 'auto', state.settings.auto);
  choose(article, 'busy', state.settings.busy);
  drawRegisters(article, state.registers);
}

// choose shows a setting, which others may have changed to something that is not in the list.
function choose(article, name, value, text = value) {
  const select = find('[data-setting=' + name + ']', article);
  if (select.value === value || document.activeElement === select) return;
  if (![...select.options].some((one) => one.value === value)) select.append(element('option', { value, textContent: text }));
  select.value = value;
}

function drawRegisters(article, registers) {
  const list = part(article, 'registers');
  const key = registers.map((one) => one.register_id).join();
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...registers.map((one) => {
    const button = element('button', { type: 'button', className: 'small', textContent: 'Unpair here' });
    button.setAttribute('aria-label', 'Unpair ' + one.register_name + ' at the terminal');
    button.addEventListener('click', () => act(article, () => call('POST', path(article) + '/unpair', { register_id: one.register_id })));
    return element('li', {}, element('span', { textContent: one.register_name || one.register_id }), button);
  }));
}

function drawCharges(charges) {
  const body = find('#charges');
  find('#no-charges').hidden = charges.length > 0;
  body.parentElement.hidden = charges.length === 0;
  body.replaceChildren(...charges.slice(-50).reverse().map((one) => element('tr', {},
    element('td', { textContent: clock(one.time) }),
    element('td', { textContent: one.device }),
    element('td', { textContent: what(one.type) + (one.cents !== one.asked_cents ? ', asked ' + money(one.asked_cents) : '') }),
    element('td', { className: 'money', textContent: (one.type.endsWith('Refund') ? '-' : '') + money(one.cents) }))));
}

let seen = '';
let seenCharges = '';
let looks = 0;
let shown = 0; // the number of the last look

// look shows how the terminals are. A look that was overtaken by a later one is not shown.
async function look() {
  looks += 1;
  const mine = looks;
  const single = articles.length === 1;
  const [states, charges] = await Promise.all([
    single ? call('GET', path(articles[0])).then((one) => [one]) : call('GET', '/smartconnect/terminals'),
    call('GET', '/smartconnect/charges' + (single ? '?terminal=' + encodeURIComponent(articles[0].dataset.terminal) : '')),
  ]);
  if (mine < shown) return;
  shown = mine;
  const now = JSON.stringify([states, charges.length]);
  if (now !== seen) {
    seen = now;
    for (const article of articles) {
      const state = states.find((one) => one.id === article.dataset.terminal);
      if (state) drawTerminal(article, state, charges);
    }
  }
  const moved = JSON.stringify(charges);
  if (moved !== seenCharges) {
    seenCharges = moved;
    drawCharges(charges);
  }
}

let out = false;

// watch looks again and again, not while nobody sees the page.
async function watch() {
  if (!document.hidden) {
    try {
      await look();
      if (out) for (const article of articles) set(part(article, 'note'), '');
      out = false;
      if (!document.body.dataset.terminals) document.body.dataset.terminals = 'ready';
    } catch (err) {
      out = true;
      for (const article of articles) set(part(article, 'note'), err.message);
    }
  }
  setTimeout(watch, every);
}

async function act(article, work) {
  const note = part(article, 'note');
  set(note, '');
  try {
    await work();
  } catch (err) {
    set(note, err.message);
  }
  await look().catch(() => { /* watch tells */ });
}

const actions = {
  plug: (article) => call('POST', path(article) + (article.dataset.plugged === 'true' ? '/unplug' : '/plug')),
  // The extras hold for one approval, whatever they were before.
  extras: async (article) => {
    const [surcharge, tip] = ['surcharge', 'tip'].map((name) => cents(part(article, name).value));
    if (surcharge === null || tip === null) throw new Error('Surcharge and tip are amounts such as 0.30.');
    const { settings } = await call('GET', path(article));
    await call('POST', path(article) + '/extras', { surcharge_cents: surcharge, tip_cents: tip });
    try {
      await call('POST', path(article) + '/approve');
    } finally {
      await call('POST', path(article) + '/extras', { surcharge_cents: settings.surcharge_cents, tip_cents: settings.tip_cents });
    }
  },
};

for (const article of articles) {
  article.addEventListener('click', (event) => {
    const button = event.target.closest('[data-action]');
    if (!button) return;
    if (button.getAttribute('aria-disabled') === 'true') {
      set(part(article, 'note'), 'There is nothing on the screen.');
      return;
    }
    const action = button.dataset.action;
    act(article, () => (actions[action] ? actions[action](article) : call('POST', path(article) + '/' + action)));
  });
  article.addEventListener('change', (event) => {
    const { setting } = event.target.dataset;
    if (!setting) return;
    const body = setting === 'slow' ? { delay_ms: Number(event.target.value) } : { mode: event.target.value };
    act(article, () => call('POST', path(article) + '/' + setting, body));
  });
}

watch();
